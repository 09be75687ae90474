#include "seccomp_filter.h"

#include <string.h>

struct machine {
    uint32_t a, x;
    uint32_t memory[BPF_MEMWORDS];
};

static uint32_t alu(uint16_t code, uint32_t a, uint32_t operand) {
    switch (BPF_OP(code)) {
    case BPF_ADD:
        return a + operand;
    case BPF_SUB:
        return a - operand;
    case BPF_MUL:
        return a * operand;
    case BPF_DIV:
        return operand ? a / operand : 0;
    case BPF_MOD:
        return operand ? a % operand : 0;
    case BPF_OR:
        return a | operand;
    case BPF_AND:
        return a & operand;
    case BPF_XOR:
        return a ^ operand;
    case BPF_LSH:
        return operand < 32 ? a << operand : 0;
    case BPF_RSH:
        return operand < 32 ? a >> operand : 0;
    case BPF_NEG:
        return 0U - a;
    default:
        return 0;
    }
}

static bool jump_taken(uint16_t code, uint32_t a, uint32_t operand) {
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == operand;
    case BPF_JGT:
        return a > operand;
    case BPF_JGE:
        return a >= operand;
    case BPF_JSET:
        return (a & operand) != 0;
    default:
        return false;
    }
}

/* A load into A or X; false: one that seccomp does not know. */
static bool load(const struct sock_filter *step, const struct seccomp_data *data, const struct machine *machine,
                 uint32_t *value) {
    switch (BPF_MODE(step->code)) {
    case BPF_ABS:
        if (BPF_SIZE(step->code) != BPF_W || step->k > sizeof *data - 4 || step->k % 4)
            return false;
        memcpy(value, (const char *)data + step->k, 4);
        return true;
    case BPF_IMM:
        *value = step->k;
        return true;
    case BPF_MEM:
        if (step->k >= BPF_MEMWORDS)
            return false;
        *value = machine->memory[step->k];
        return true;
    case BPF_LEN:
        *value = sizeof *data;
        return true;
    default:
        return false;
    }
}

static bool store(struct machine *machine, uint32_t slot, uint32_t value) {
    if (slot >= BPF_MEMWORDS)
        return false;
    machine->memory[slot] = value;
    return true;
}

/* Every jump leads forward, so that at most length steps are made. */
uint32_t seccomp_filter_run(const struct sock_filter *program, unsigned length, const struct seccomp_data *data) {
    struct machine machine = {0};
    for (unsigned at = 0; at < length; at++) {
        const struct sock_filter *step = &program[at];
        uint32_t operand = BPF_SRC(step->code) == BPF_X ? machine.x : step->k;
        switch (BPF_CLASS(step->code)) {
        case BPF_LD:
            if (!load(step, data, &machine, &machine.a))
                return SECCOMP_RET_KILL_PROCESS;
            break;
        case BPF_LDX:
            if (!load(step, data, &machine, &machine.x))
                return SECCOMP_RET_KILL_PROCESS;
            break;
        case BPF_ST:
        case BPF_STX:
            if (!store(&machine, step->k, BPF_CLASS(step->code) == BPF_ST ? machine.a : machine.x))
                return SECCOMP_RET_KILL_PROCESS;
            break;
        case BPF_ALU:
            machine.a = alu(step->code, machine.a, operand);
            break;
        case BPF_JMP:
            if (BPF_OP(step->code) == BPF_JA)
                at += step->k < length ? step->k : length;
            else
                at += jump_taken(step->code, machine.a, operand) ? step->jt : step->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
        case BPF_MISC:
            if (BPF_MISCOP(step->code) == BPF_TAX)
                machine.x = machine.a;
            else
                machine.a = machine.x;
            break;
        default:
            return SECCOMP_RET_KILL_PROCESS;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}
