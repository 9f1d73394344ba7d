/* load -p PORT -P PATH -b BODY [options]: a closed-loop HTTP load generator and checker (epoll, one thread).
 *
 *   -c N  connections, kept alive: each sends its next POST when the answer to the last one is complete
 *   -n N  requests in all                    -r MS  open the connections over this time
 *   -H "K: V"  a header, repeatable          -t S   give up after this time
 *   -e N  tokens each answer must bring, in order     -m TEXT  what must come after them (or at all)
 *   -w    hold: when each answer has brought its first token, print "open" and wait for the end of stdin
 *
 * "{n}" in the path becomes the request's number. It knows no format: tokens (bench.h) are found in the body
 * however they are wrapped. It prints one JSON object; times are in microseconds. The runner calls it. */
#define _GNU_SOURCE
#include "bench.h"
#include "response.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    float *at;
    size_t count, capacity;
} Samples;

typedef struct {
    int fd; /* -1 = not connected */
    bool busy, sent;
    uint64_t asked, last_token;
    int next;   /* number of the token that must come next */
    int marked; /* bytes of the end mark seen so far */
    char token[TOKEN_BYTES];
    size_t token_length;
    char sample[160]; /* of the body, for messages */
    size_t sample_length;
    Response response;
} Conn;

static int port, conns = 1, requests = 1, ramp_ms, timeout_s = 60, expected;
static const char *path = "/", *body = "", *mark = "";
static bool hold;
static char headers[2048];

static int epoll_fd, started, active, opened;
static long finished, errors, incomplete, lost, reordered, tokens;
static Samples first_token, gap, one_way, total;
static char first_error[256];

static void add(Samples *samples, uint64_t from, uint64_t to) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 4096;
        samples->at = realloc(samples->at, samples->capacity * sizeof *samples->at);
    }
    samples->at[samples->count++] = (float)((double)to - (double)from);
}

static void on_token(Conn *conn, uint64_t now) {
    int number;
    uint64_t sent;
    read_token(conn->token, &number, &sent);
    if (number != conn->next)
        reordered++;
    conn->next = number + 1;
    tokens++;
    add(&one_way, sent, now);
    if (number)
        add(&gap, conn->last_token, now);
    else {
        add(&first_token, conn->asked, now);
        opened++;
    }
    conn->last_token = now;
}

/* Finds tokens, then the end mark, whatever pieces they come in. (The mark must not begin anew within itself.) */
static void on_body(void *context, const char *data, size_t length) {
    Conn *conn = context;
    const char *end = data + length;
    uint64_t now = 0;
    size_t room = sizeof conn->sample - 1 - conn->sample_length;
    if (room) {
        size_t kept = length < room ? length : room;
        memcpy(conn->sample + conn->sample_length, data, kept);
        conn->sample_length += kept;
    }
    while (data < end && conn->next < expected) {
        if (!conn->token_length && !(data = memchr(data, '~', (size_t)(end - data))))
            return;
        size_t wanted = TOKEN_BYTES - conn->token_length, there = (size_t)(end - data);
        size_t taken = wanted < there ? wanted : there;
        memcpy(conn->token + conn->token_length, data, taken);
        conn->token_length += taken;
        data += taken;
        if (conn->token_length == TOKEN_BYTES) {
            on_token(conn, now ? now : (now = now_us()));
            conn->token_length = 0;
        }
    }
    for (; data < end && mark[conn->marked]; data++)
        conn->marked = *data == mark[conn->marked] ? conn->marked + 1 : *data == mark[0];
}

static void send_request(Conn *conn) {
    static char text[16384];
    char target[512];
    const char *number = strstr(path, "{n}");
    if (number)
        snprintf(target, sizeof target, "%.*s%d%s", (int)(number - path), path, started, number + 3);
    else
        snprintf(target, sizeof target, "%s", path);
    int length = snprintf(text, sizeof text,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                          "Accept: */*\r\n%sContent-Length: %zu\r\n\r\n%s",
                          target, port, headers, strlen(body), body);
    conn->asked = now_us();
    conn->sent = true;
    if (send(conn->fd, text, (size_t)length, MSG_NOSIGNAL) != length) /* one small write into an empty buffer */
        shutdown(conn->fd, SHUT_RDWR);
    struct epoll_event event = {EPOLLIN, {.ptr = conn}};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void start(Conn *conn) {
    started++;
    active++;
    conn->busy = true;
    conn->sent = false;
    conn->next = conn->marked = 0;
    conn->token_length = conn->sample_length = 0;
    response_reset(&conn->response);
    if (conn->fd >= 0) {
        send_request(conn);
        return;
    }
    int one = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(conn->fd, (void *)&address, sizeof address);
    struct epoll_event event = {EPOLLOUT, {.ptr = conn}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
}

static void finish(Conn *conn, uint64_t now, bool whole) {
    conn->busy = false;
    active--;
    finished++;
    conn->sample[conn->sample_length] = 0;
    bool failed = conn->response.status != 200;
    bool partial = !failed && (!whole || conn->next != expected || mark[conn->marked]);
    errors += failed;
    incomplete += partial;
    lost += failed || conn->next > expected ? 0 : expected - conn->next;
    if ((failed || partial) && !first_error[0])
        snprintf(first_error, sizeof first_error, "status %d, %s, after %d of %d tokens: %.120s", conn->response.status,
                 whole ? "whole" : "cut", conn->next, expected, conn->sample);
    if (!failed && !partial)
        add(&total, conn->asked, now);
}

static void drop(Conn *conn) {
    close(conn->fd);
    conn->fd = -1;
}

static void on_event(Conn *conn, uint32_t events) {
    static char data[1 << 18];
    if (conn->busy && !conn->sent && events & EPOLLOUT && !(events & EPOLLERR)) {
        send_request(conn);
        return;
    }
    ssize_t got = recv(conn->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (conn->busy)
            finish(conn, now_us(), conn->response.state == UNTIL_CLOSE);
        drop(conn);
    } else if (conn->busy && read_response(&conn->response, data, (size_t)got, on_body, conn)) {
        finish(conn, now_us(), true);
        if (conn->response.last || conn->response.status < 0)
            drop(conn);
    }
    if (!conn->busy && started < requests)
        start(conn);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, Samples *samples) {
    if (!samples->count)
        return;
    qsort(samples->at, samples->count, sizeof *samples->at, ascending);
    size_t last = samples->count - 1;
    printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}", name, samples->at[(size_t)((double)last * 0.5)],
           samples->at[(size_t)((double)last * 0.99)], samples->at[last]);
}

static void print_report(double seconds) {
    printf("{\"requests\": %ld, \"seconds\": %.4f, \"tokens\": %ld, \"unfinished\": %d, \"errors\": %ld, "
           "\"incomplete\": %ld, \"lost\": %ld, \"reordered\": %ld",
           finished, seconds, tokens, requests - (int)finished, errors, incomplete, lost, reordered);
    print_samples("first_token", &first_token);
    print_samples("gap", &gap);
    print_samples("one_way", &one_way);
    print_samples("total", &total);
    printf(", \"error\": \"");
    for (const char *c = first_error; *c; c++)
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if ((unsigned char)*c >= ' ' && (unsigned char)*c < 127)
            putchar(*c);
    printf("\"}\n");
}

static void read_options(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "p:P:b:c:n:r:t:e:m:H:w")) > 0;)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'P': path = optarg; break;
        case 'b': body = optarg; break;
        case 'c': conns = atoi(optarg); break;
        case 'n': requests = atoi(optarg); break;
        case 'r': ramp_ms = atoi(optarg); break;
        case 't': timeout_s = atoi(optarg); break;
        case 'e': expected = atoi(optarg); break;
        case 'm': mark = optarg; break;
        case 'w': hold = true; break;
        case 'H':
            strncat(headers, optarg, sizeof headers - strlen(headers) - 3);
            strcat(headers, "\r\n");
            break;
        default: exit(2);
        }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    raise_open_files();
    read_options(argc, argv);
    epoll_fd = epoll_create1(0);
    struct epoll_event events[256], released = {EPOLLIN, {.ptr = NULL}};
    if (hold)
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &released);
    Conn *all = calloc((size_t)conns, sizeof *all);
    for (int i = 0; i < conns; i++)
        all[i].fd = -1;
    uint64_t began = now_us(), deadline = began + (uint64_t)timeout_s * 1000000;
    bool announced = false;
    for (int next = 0; finished < requests && now_us() < deadline;) {
        while (next < conns && started < requests &&
               now_us() - began >= (uint64_t)ramp_ms * 1000 * (uint64_t)next / (uint64_t)conns)
            start(&all[next++]);
        if (hold && !announced && opened == requests) {
            puts("open");
            fflush(stdout);
            announced = true;
        }
        int count = epoll_wait(epoll_fd, events, 256, next < conns ? 1 : 100);
        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                return 0;
            on_event(events[i].data.ptr, events[i].events);
        }
    }
    print_report((double)(now_us() - began) / 1e6);
    return 0;
}
