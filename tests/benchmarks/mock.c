/* mock PORT: an OpenAI-compatible upstream that costs as little CPU as it can (epoll, one thread,
 * keep-alive).
 *
 * POST to any path is a chat completion. The model's name says what comes: mock-N-Dms[-bB][-wW] is N tokens,
 * D ms apart, B of them per write (1), the first after W ms (0). D = 0 sends as fast as the reader takes.
 * A request without "stream":true gets one JSON body at once. Paced tokens leave on a 1 ms grid, as those of
 * a real upstream arrive in clusters; the wait before the first one is exact to the microsecond. The
 * benchmark's runner starts it and stops it. */
#define _GNU_SOURCE
#include "bench.h"
#include "buffer.h"
#include "timers.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID "\"id\":\"chatcmpl-Benchmark0123456789abcdef01\""

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                                  "Cache-Control: no-cache\r\nx-request-id: req_0123456789abcdef\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";

typedef struct {
    Timer timer; /* first, so that a timer's address is its connection's */
    int fd;
    bool streaming, blocked;
    Buffer in, out;
    char prefix[320]; /* of every event, up to the choices */
    size_t prefix_length;
    int tokens, gap_ms, batch, wait_ms;
    int next; /* number of the next token; -1 before the event that names the role */
} Conn;

static int epoll_fd;

static void watch(Conn *conn, int operation, uint32_t events) {
    struct epoll_event event = {events, {.ptr = conn}};
    epoll_ctl(epoll_fd, operation, conn->fd, &event);
}

static void close_conn(Conn *conn) {
    timer_disarm(&conn->timer);
    close(conn->fd);
    free(conn->in.data);
    free(conn->out.data);
    free(conn);
}

/* Sends what is queued. False: the connection is broken. */
static bool flush(Conn *conn) {
    Buffer *out = &conn->out;
    while (out->start < out->length) {
        ssize_t sent = send(conn->fd, out->data + out->start, out->length - out->start, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return false;
            if (!conn->blocked)
                watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            conn->blocked = true;
            return true;
        }
        out->start += (size_t)sent;
    }
    out->start = out->length = 0;
    if (conn->blocked)
        watch(conn, EPOLL_CTL_MOD, EPOLLIN);
    conn->blocked = false;
    return true;
}

static void put_event(Conn *conn, Buffer *to) {
    append(to, conn->prefix, conn->prefix_length);
    if (conn->next < 0) {
        LITERAL(to, "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                    "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
    } else if (conn->next < conn->tokens) {
        char token[TOKEN_BYTES];
        write_token(token, conn->next);
        LITERAL(to, "[{\"index\":0,\"delta\":{\"content\":\"");
        append(to, token, TOKEN_BYTES);
        LITERAL(to, " \"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
    } else if (conn->next == conn->tokens) {
        LITERAL(to, "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
    } else {
        char usage[160];
        int length = snprintf(usage, sizeof usage,
                              "[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":%d,"
                              "\"total_tokens\":%d}}\n\ndata: [DONE]\n\n",
                              conn->tokens, conn->tokens + 20);
        append(to, usage, (size_t)length);
    }
    conn->next++;
}

/* Queues the next write's events as one HTTP chunk; the one after the last token ends the answer. */
static void put_chunk(Conn *conn) {
    static Buffer events; /* kept between calls, for its memory */
    int first = conn->next < 0 ? 0 : conn->next;
    bool last = first >= conn->tokens;
    int end = last ? conn->tokens + 2 : first + conn->batch < conn->tokens ? first + conn->batch : conn->tokens;
    events.length = 0;
    while (conn->next < end)
        put_event(conn, &events);
    char size[16];
    append(&conn->out, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", events.length));
    append(&conn->out, events.data, events.length);
    LITERAL(&conn->out, "\r\n");
    if (last) {
        LITERAL(&conn->out, "0\r\n\r\n");
        conn->streaming = false;
    }
}

/* Sends what is due now and arms the timer for what is not. False: the connection is broken. */
static bool advance(Conn *conn) {
    if (conn->gap_ms) {
        put_chunk(conn);
        if (conn->streaming)
            timer_arm(&conn->timer, (conn->timer.due / 1000 + (uint64_t)conn->gap_ms) * 1000);
        return flush(conn);
    }
    while (conn->streaming && !conn->blocked) {
        put_chunk(conn);
        if (!flush(conn))
            return false;
    }
    return true;
}

static bool send_plain(Conn *conn) {
    char text[1601] = "", head[160];
    Buffer body = {0};
    for (int i = 0; i < 200; i++)
        snprintf(text + 8 * i, 9, "word%03d ", i);
    LITERAL(&body, "{" ID ",\"object\":\"chat.completion\",\"created\":1760000000,\"model\":\"mock\",\"choices\":"
                   "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    append(&body, text, strlen(text));
    LITERAL(&body, "~END~\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                   "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":200,\"total_tokens\":220},"
                   "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\"}");
    int length =
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 body.length);
    append(&conn->out, head, (size_t)length);
    append(&conn->out, body.data, body.length);
    free(body.data);
    return flush(conn);
}

/* The body is NUL-terminated. */
static bool answer(Conn *conn, const char *body) {
    char model[64] = "mock";
    const char *found = strstr(body, "\"model\""), *stream = strstr(body, "\"stream\"");
    if (found)
        sscanf(found + 7, " : \"%63[^\"]", model);
    if (!stream || stream[8 + strspn(stream + 8, " :")] != 't')
        return send_plain(conn);
    conn->tokens = 256, conn->gap_ms = 0, conn->batch = 1, conn->wait_ms = 0;
    sscanf(model, "mock-%d-%dms", &conn->tokens, &conn->gap_ms);
    if ((found = strstr(model, "-b")))
        conn->batch = atoi(found + 2);
    if ((found = strstr(model, "-w")))
        conn->wait_ms = atoi(found + 2);
    conn->prefix_length =
        (size_t)snprintf(conn->prefix, sizeof conn->prefix,
                         "data: {" ID ",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"%s\","
                         "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":",
                         model);
    LITERAL(&conn->out, STREAM_HEAD);
    conn->streaming = true;
    conn->next = -1;
    conn->timer.due = now_us();
    if (!conn->wait_ms)
        return advance(conn);
    timer_arm(&conn->timer, conn->timer.due + (uint64_t)conn->wait_ms * 1000);
    return true;
}

/* Answers the requests that have come in completely, one at a time. False: the connection is broken. */
static bool serve(Conn *conn) {
    Buffer *in = &conn->in;
    while (!conn->streaming && in->length) {
        reserve(in, 1);
        in->data[in->length] = 0;
        char *head_end = strstr(in->data, "\r\n\r\n");
        if (!head_end)
            return true;
        *head_end = 0;
        char *length = strcasestr(in->data, "\r\ncontent-length:");
        bool chunked = strcasestr(in->data, "\r\ntransfer-encoding: chunked") != NULL;
        *head_end = '\r';
        char *body = head_end + 4, *end = body + (length ? atol(length + 17) : 0);
        if (chunked) { /* good enough for JSON: what we look for is not cut by a chunk's edge */
            if (!(end = strstr(body, "0\r\n\r\n")))
                return true;
            end += 5;
        }
        if (end > in->data + in->length)
            return true;
        char kept = *end;
        *end = 0;
        if (!answer(conn, body))
            return false;
        *end = kept;
        in->length -= (size_t)(end - in->data);
        memmove(in->data, end, in->length);
    }
    return true;
}

static bool receive(Conn *conn) {
    reserve(&conn->in, 4096);
    ssize_t got = recv(conn->fd, conn->in.data + conn->in.length, 4096, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    conn->in.length += (size_t)got;
    return serve(conn);
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Conn *conn = calloc(1, sizeof *conn);
        conn->fd = fd;
        watch(conn, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void fire_timers(void) {
    uint64_t now = now_us();
    for (Timer *timer; (timer = timer_first()) && timer->due <= now;) {
        Conn *conn = (Conn *)timer;
        timer_disarm(timer);
        if (!advance(conn) || !serve(conn))
            close_conn(conn);
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("mock");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    raise_open_files();
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 9001);
    epoll_fd = epoll_create1(0);
    struct epoll_event events[512], new_conns = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &new_conns);
    for (;;) {
        Timer *first = timer_first();
        uint64_t now = now_us(), wait = first && first->due > now ? first->due - now : 0;
        struct timespec timeout = {(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};
        int count = epoll_pwait2(epoll_fd, events, 512, first ? &timeout : NULL, NULL);
        for (int i = 0; i < count; i++) {
            Conn *conn = events[i].data.ptr;
            bool alive = true;
            if (!conn) {
                accept_all(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                alive = flush(conn) && (conn->gap_ms || advance(conn)) && serve(conn);
            if (alive && events[i].events & ~(uint32_t)EPOLLOUT)
                alive = receive(conn);
            if (!alive)
                close_conn(conn);
        }
        fire_timers();
    }
}
