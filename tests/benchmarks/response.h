/* An incremental reader of HTTP/1.1 responses; load.c's only parser. Feed it what recv gave; it calls `on_body`
 * with pieces of the decoded body and says when the response is complete. */
#ifndef RESPONSE_H
#define RESPONSE_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    enum { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_CLOSE } state;
    int status; /* 0 before the head is in, -1 if it makes no sense */
    bool last;  /* the server closes the connection after this one */
    long left;  /* bytes of the body or the chunk */
    char text[4096];
    size_t length; /* of the head, or the line of a chunk's size or of a trailer, so far */
} Response;

typedef void (*OnBody)(void *context, const char *data, size_t length);

static void response_reset(Response *r) {
    r->state = HEAD;
    r->status = 0;
    r->length = 0;
}

/* Takes one byte of a line; true when the line is complete. Its end is not kept. */
static bool take_line(Response *r, char byte) {
    if (byte == '\n')
        return true;
    if (byte != '\r' && r->length < sizeof r->text - 1)
        r->text[r->length++] = byte;
    return false;
}

/* Takes of the head what is there; true when it is complete. */
static bool take_head(Response *r, const char **data, const char *end) {
    size_t old = r->length, space = sizeof r->text - 1 - old;
    size_t taken = (size_t)(end - *data) < space ? (size_t)(end - *data) : space;
    memcpy(r->text + old, *data, taken);
    r->length += taken;
    r->text[r->length] = 0;
    char *head_end = strstr(r->text, "\r\n\r\n");
    if (!head_end) {
        *data += taken;
        if (r->length == sizeof r->text - 1)
            r->status = -1;
        return false;
    }
    *data += (size_t)(head_end + 4 - r->text) - old;
    head_end[2] = 0;
    r->length = 0;
    r->status = strncmp(r->text, "HTTP/1.", 7) ? -1 : atoi(r->text + 9);
    return true;
}

/* Says from the head how the body is framed; true if there is none. */
static bool start_body(Response *r) {
    const char *length = strcasestr(r->text, "\r\ncontent-length:");
    r->last = strcasestr(r->text, "\r\nconnection: close") != NULL;
    r->left = length ? atol(length + 17) : 0;
    r->state = strcasestr(r->text, "\r\ntransfer-encoding: chunked") ? CHUNK_SIZE : length ? LENGTH : UNTIL_CLOSE;
    return r->status == 204 || (r->state == LENGTH && !r->left);
}

/* True when the response is complete, or can't be understood (status -1). */
static bool read_response(Response *r, const char *data, size_t length, OnBody on_body, void *context) {
    for (const char *end = data + length; data < end;) {
        size_t piece = (size_t)(end - data);
        switch (r->state) {
        case HEAD:
            if (!take_head(r, &data, end)) {
                if (r->status < 0)
                    return true;
            } else if (r->status < 0 || (r->status >= 200 && start_body(r))) {
                return true;
            }
            break;
        case LENGTH:
        case CHUNK_DATA:
            if (piece > (size_t)r->left)
                piece = (size_t)r->left;
            on_body(context, data, piece);
            data += piece;
            r->left -= (long)piece;
            if (!r->left && r->state == LENGTH)
                return true;
            if (!r->left)
                r->state = CHUNK_END;
            break;
        case CHUNK_SIZE:
            if (take_line(r, *data++)) {
                r->text[r->length] = 0;
                r->left = strtol(r->text, NULL, 16);
                r->state = r->left ? CHUNK_DATA : TRAILER;
                r->length = 0;
            }
            break;
        case CHUNK_END:
            if (take_line(r, *data++))
                r->state = CHUNK_SIZE;
            break;
        case TRAILER:
            if (take_line(r, *data++)) {
                if (!r->length)
                    return true;
                r->length = 0;
            }
            break;
        case UNTIL_CLOSE:
            on_body(context, data, piece);
            data = end;
            break;
        }
    }
    return false;
}

#endif
