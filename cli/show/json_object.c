#include "json_object.h"

#include <string.h>

void object_begin(struct object *object) {
    line_init(&object->line, object->text, sizeof object->text);
    object_open(object);
}

void object_name(struct object *object, const char *key) {
    line_text(&object->line, object->first ? "\"" : ",\"");
    line_text(&object->line, key);
    line_text(&object->line, "\":");
    object->first = false;
}

void object_open(struct object *object) {
    line_char(&object->line, '{');
    object->first = true;
}

void object_close(struct object *object) {
    line_char(&object->line, '}');
    object->first = false;
}

void object_quote(struct object *object, const char *text, size_t length) {
    line_char(&object->line, '"');
    line_json_escaped(&object->line, text, length);
    line_char(&object->line, '"');
}

void object_text(struct object *object, const char *key, const char *text) {
    if (!text || !*text)
        return;
    object_name(object, key);
    object_quote(object, text, strlen(text));
}

void object_comm(struct object *object, const char *key, const char comm[COMM_SIZE]) {
    if (!comm[0])
        return;
    object_name(object, key);
    object_quote(object, comm, strnlen(comm, COMM_SIZE));
}

void object_number(struct object *object, const char *key, uint64_t number) {
    object_name(object, key);
    line_unsigned(&object->line, number);
}

void object_seconds(struct object *object, const char *key, uint64_t microseconds) {
    object_name(object, key);
    line_seconds(&object->line, microseconds);
}

void object_true(struct object *object, const char *key, bool is_true) {
    if (!is_true)
        return;
    object_name(object, key);
    line_text(&object->line, "true");
}

void object_texts(struct object *object, const char *key, char *const *texts, unsigned count) {
    object_name(object, key);
    line_char(&object->line, '[');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            line_char(&object->line, ',');
        object_quote(object, texts[i], strlen(texts[i]));
    }
    line_char(&object->line, ']');
}

bool object_print(struct object *object, FILE *out, const char *behind) {
    object_close(object);
    if (object->line.cut)
        return false;
    fwrite(object->text, 1, object->line.length, out);
    fputs(behind, out);
    return true;
}
