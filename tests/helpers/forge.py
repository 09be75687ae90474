"""forge.py N KIND: a trace of N closes, of a kind that somebody may have made to keep its reader busy.

hash: cookies that a multiplicative hash (of an older version) puts at one place; cookie: one cookie, N peers;
pair: one pair of addresses, N cookies; comm: N names; reverse: from the last to the first."""
import json
import sys

COUNT, KIND = int(sys.argv[1]), sys.argv[2]
WORDS = 1 << 64
INVERSE = pow(0x9E3779B97F4A7C15, -1, WORDS)


def unshift(number, by):
    result = number
    for _ in range(64 // by):
        result = number ^ (result >> by)
    return result


def cookie_of(i):
    if KIND == "hash":
        return unshift(unshift((i + 1) << 32, 29) * INVERSE % WORDS, 32)
    return 4711 if KIND == "cookie" else i + 1


def event(i):
    return {
        "time": 1700000000 + (COUNT - i if KIND == "reverse" else i) / 1000,
        "pid": 1, "tid": 1, "comm": f"c{i}" if KIND == "comm" else "c", "op": "close", "call": "close", "fd": 3, "ret": 0,
        "socket": str(cookie_of(i)), "local": "127.0.0.1:9", "role": "client",
        "remote": "127.0.0.1:80" if KIND == "pair" else f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:{1 + i % 60000}",
        "refs_before": 1, "refs_after": 0, "fin": "reset", "why": "unread-data", "verified": True,
        "state_before": "ESTABLISHED", "state_after": "CLOSE", "unread": 5, "unsent": 0, "sent": 1, "received": 6, "unacked": 1,
    }


for number in range(COUNT):
    print(json.dumps(event(number), separators=(",", ":")))
