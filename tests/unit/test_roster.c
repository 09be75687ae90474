/* The processes of a session, and who its connections' ends are. */
#include "pure/roster.h"

#include <stdlib.h>

#include "pure/address_book.h"
#include "unit.h"

static struct roster *roster;

static enum roster_state state_of(int wanted, char name[ROSTER_NAME]) {
    for (unsigned i = 0; i < ROSTER_SIZE; i++) {
        int pid;
        enum roster_state state = roster_at(roster, i, &pid, name);
        if (state != ROSTER_FREE && pid == wanted)
            return state;
    }
    return ROSTER_FREE;
}

static void a_process_through_its_life(void) {
    char name[ROSTER_NAME];
    unsigned long long before = roster->changes;
    roster_note(roster, 4711, ROSTER_HERE, "nginx");
    CHECK_NUMBER(state_of(4711, name), ROSTER_HERE);
    CHECK_TEXT(name, "nginx");
    roster_note(roster, 4711, ROSTER_EXEC, "a-name-that-is-too-long-for-it");
    CHECK_NUMBER(state_of(4711, name), ROSTER_EXEC);
    CHECK_TEXT(name, "a-name-that-is-");
    roster_note(roster, 4711, ROSTER_ENDING, NULL);
    CHECK_NUMBER(state_of(4711, name), ROSTER_ENDING);
    CHECK_TEXT(name, "a-name-that-is-");
    CHECK(roster->changes >= before + 3);
    CHECK_NUMBER(roster_gone(roster, 4711), ROSTER_ENDING);
    CHECK_NUMBER(state_of(4711, name), ROSTER_FREE);
    CHECK_NUMBER(roster_gone(roster, 4711), ROSTER_FREE);
}

static void a_spawned_one_that_spoke_first(void) {
    char name[ROSTER_NAME];
    roster_note(roster, 100, ROSTER_HERE, "quick");
    roster_note_spawned(roster, 100, ROSTER_EXEC, "quick");
    CHECK_NUMBER(state_of(100, name), ROSTER_HERE);
    roster_gone(roster, 100);
    roster_note_spawned(roster, 100, ROSTER_EXEC, "quick"); /* its parent is late: it has even ended */
    CHECK_NUMBER(state_of(100, name), ROSTER_FREE);
    roster_note_spawned(roster, 101, ROSTER_EXEC, "silent");
    CHECK_NUMBER(state_of(101, name), ROSTER_EXEC);
    roster_gone(roster, 101);
}

static void more_than_there_is_room_for(void) {
    for (int pid = 1; pid <= ROSTER_SIZE; pid++)
        roster_note(roster, pid, ROSTER_HERE, NULL);
    CHECK_NUMBER(roster->no_place, 0);
    roster_note(roster, ROSTER_SIZE + 5, ROSTER_HERE, NULL);
    CHECK_NUMBER(roster->no_place, 1);
    for (int pid = 1; pid <= ROSTER_SIZE; pid++)
        CHECK_NUMBER(roster_gone(roster, pid), ROSTER_HERE);
}

static void ends_by_cookie(void) {
    struct address_book *book = calloc(1, sizeof *book);
    struct ends ends = {.role = ROLE_CLIENT, .local = {.family = ADDRESS_V4, .port = 80}}, found;
    CHECK(!address_book_find(book, 7, &found));
    CHECK(!address_book_find(book, 0, &found));
    address_book_note(book, 7, &ends);
    CHECK(address_book_find(book, 7, &found) && found.role == ROLE_CLIENT && found.local.port == 80);
    CHECK(!address_book_find(book, 7 + ADDRESS_BOOK_SIZE, &found));
    ends.fin_left = true;
    address_book_note(book, 7, &ends);
    CHECK(address_book_find(book, 7, &found) && found.fin_left);
    address_book_note(book, 7 + ADDRESS_BOOK_SIZE, &ends); /* takes its place */
    CHECK(!address_book_find(book, 7, &found));
    free(book);
}

int main(void) {
    roster = calloc(1, sizeof *roster);
    a_process_through_its_life();
    a_spawned_one_that_spoke_first();
    more_than_there_is_room_for();
    ends_by_cookie();
    free(roster);
    return unit_failures();
}
