/* Bytes that grow at the end; what mock.c receives into and sends from. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *data;
    size_t start, length, capacity;
} Buffer;

#define LITERAL(buffer, text) append(buffer, text, sizeof(text) - 1)

static void reserve(Buffer *buffer, size_t more) {
    if (buffer->length + more <= buffer->capacity)
        return;
    buffer->capacity = (buffer->length + more) * 2;
    buffer->data = realloc(buffer->data, buffer->capacity);
}

static void append(Buffer *buffer, const char *text, size_t length) {
    reserve(buffer, length);
    memcpy(buffer->data + buffer->length, text, length);
    buffer->length += length;
}

#endif
