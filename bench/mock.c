/* A provider that answers like OpenAI's chat completions, fast enough never to be what is measured.
 *
 *   mock [PORT]      prints the port that it serves (0 or none: any), then serves until SIGTERM
 *
 * One thread, epoll, HTTP/1.1 with keep-alive; request bodies need a Content-Length. A body with "stream":true is
 * answered with "max_tokens" events, "seed" microseconds apart; each carries the time at which it was written, so that
 * a client on this machine can tell how long it travelled. Usage comes as OpenAI sends it: an event of its own, and null
 * in all others, only where "include_usage":true asked for it. Every other body gets 1.5 KB of JSON; one with tools and a
 * "seed" gets a call of the tool "search" whose id and arguments are made of that number (`conversations.py` knows them).
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384
#define TEXT_BYTES 25 /* of an event; with what stands around it, some 200 */
#define PROMPT_TOKENS 211
#define CALLS_OF_A_LOOP 1000

struct connection {
    int fd;
    bool dead, waits_for_room;
    struct buffer in, out;
    bool streaming, wants_usage;
    int events, left;
    uint64_t delay_ns, due_ns;
    int place; /* in the heap of timers, or -1 */
    struct connection *next_dead;
};

static int poller;
static struct connection *dead;
static struct buffer json;
static volatile sig_atomic_t stopping;

/* Timers: a heap of streams, the one that is due next on top. */

static struct connection **heap;
static int heap_size, heap_room;

static void put_at(int place, struct connection *c)
{
    heap[place] = c;
    c->place = place;
}

static void sift_up(int i)
{
    struct connection *c = heap[i];
    for (; i && heap[(i - 1) / 2]->due_ns > c->due_ns; i = (i - 1) / 2)
        put_at(i, heap[(i - 1) / 2]);
    put_at(i, c);
}

static void sift_down(int i)
{
    struct connection *c = heap[i];
    for (;;) {
        int child = 2 * i + 1;
        if (child + 1 < heap_size && heap[child + 1]->due_ns < heap[child]->due_ns)
            child++;
        if (child >= heap_size || heap[child]->due_ns >= c->due_ns)
            break;
        put_at(i, heap[child]);
        i = child;
    }
    put_at(i, c);
}

static void set_timer(struct connection *c, uint64_t due_ns)
{
    c->due_ns = due_ns;
    if (c->place >= 0) {
        sift_down(c->place);
        return;
    }
    if (heap_size == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 1024;
        heap = must(realloc(heap, sizeof *heap * (size_t)heap_room));
    }
    put_at(heap_size++, c);
    sift_up(c->place);
}

static void clear_timer(struct connection *c)
{
    int place = c->place;
    if (place < 0)
        return;
    c->place = -1;
    struct connection *last = heap[--heap_size];
    if (last == c)
        return;
    put_at(place, last);
    sift_up(place);
    sift_down(last->place);
}

/* Sending. */

static void drop(struct connection *c)
{
    if (c->dead)
        return;
    c->dead = true;
    clear_timer(c);
    close(c->fd);
    c->next_dead = dead; /* freed after this turn: its events may still be in the list */
    dead = c;
}

static void flush(struct connection *c)
{
    while (!c->dead && held(&c->out)) {
        ssize_t sent = send(c->fd, c->out.data + c->out.begin, held(&c->out), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            drop(c);
        if (sent < 0)
            break;
        c->out.begin += (size_t)sent;
    }
    bool waits = !c->dead && held(&c->out);
    if (waits == c->waits_for_room || c->dead)
        return;
    c->waits_for_room = waits;
    struct epoll_event interest = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &interest);
}

static void append_chunk(struct connection *c, const char *data, size_t size)
{
    char line[16];
    append(&c->out, line, (size_t)snprintf(line, sizeof line, "%zx\r\n", size));
    append(&c->out, data, size);
    append(&c->out, "\r\n", 2);
}

#define EVENT_HEAD                                                                                                     \
    "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"                     \
    "\"model\":\"gpt-4o-mini\",\"choices\":["

static void append_text_event(struct connection *c)
{
    static const char letters[] = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ";
    const char *null_usage = c->wants_usage ? ",\"usage\":null" : "";
    char event[512];
    int size = snprintf(event, sizeof event,
                        EVENT_HEAD "{\"index\":0,\"delta\":{\"content\":\"" STAMP "%0*llu %.*s\"},"
                                   "\"finish_reason\":null}]%s}\n\n",
                        STAMP_DIGITS, (unsigned long long)now_ns(), TEXT_BYTES, letters, null_usage);
    append_chunk(c, event, (size_t)size);
}

static void append_end(struct connection *c)
{
    char end[1024];
    const char *null_usage = c->wants_usage ? ",\"usage\":null" : "";
    int size = snprintf(end, sizeof end,
                        EVENT_HEAD "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]%s}\n\n", null_usage);
    if (c->wants_usage)
        size += snprintf(end + size, sizeof end - (size_t)size,
                         EVENT_HEAD "],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                         PROMPT_TOKENS, c->events, PROMPT_TOKENS + c->events);
    size += snprintf(end + size, sizeof end - (size_t)size, "data: [DONE]\n\n");
    append_chunk(c, end, (size_t)size);
    append(&c->out, "0\r\n\r\n", 5);
}

static void send_event(struct connection *c)
{
    if (c->left) {
        append_text_event(c);
        c->left--;
    }
    if (!c->left) {
        append_end(c);
        c->streaming = false;
        clear_timer(c);
    }
}

/* Requests. */

static long number_after(const char *bytes, size_t size, const char *name, long otherwise)
{
    char *found = find(bytes, size, name);
    return found ? strtol(found + strlen(name), NULL, 10) : otherwise;
}

static size_t content_length(const char *head, size_t size)
{
    static const char name[] = "\ncontent-length:";
    for (size_t i = 0; i + sizeof name <= size; i++)
        if (head[i] == '\n' && !strncasecmp(head + i, name, sizeof name - 1))
            return strtoul(head + i + sizeof name - 1, NULL, 10);
    return 0;
}

static void begin_stream(struct connection *c, const char *body, size_t size)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                               "Cache-Control: no-cache\r\nx-request-id: req_mock\r\nTransfer-Encoding: chunked\r\n\r\n";
    append(&c->out, head, sizeof head - 1);
    c->events = c->left = (int)number_after(body, size, "\"max_tokens\":", 50);
    c->delay_ns = (uint64_t)number_after(body, size, "\"seed\":", 20000) * 1000;
    c->wants_usage = find(body, size, "\"include_usage\":true") || find(body, size, "\"include_usage\": true");
    c->streaming = true;
    do
        send_event(c);
    while (c->streaming && !c->delay_ns);
    if (c->streaming)
        set_timer(c, now_ns() + c->delay_ns);
}

static void append_call(struct connection *c, long number)
{
    char body[1024], head[256];
    int size = snprintf(body, sizeof body,
                        "{\"id\":\"chatcmpl-%ld\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4o-mini\","
                        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                        "\"id\":\"call_%05ldaB3dE5gH7jK9%05ldmN1pQ\",\"type\":\"function\",\"function\":{\"name\":\"search\","
                        "\"arguments\":\"{\\\"query\\\":\\\"page %ld\\\",\\\"limit\\\":10}\"}}],\"refusal\":null},"
                        "\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":5000,"
                        "\"completion_tokens\":60,\"total_tokens\":5060,\"prompt_tokens_details\":{\"cached_tokens\":4096}}}",
                        number, number % CALLS_OF_A_LOOP, number / CALLS_OF_A_LOOP, number);
    int head_size = snprintf(head, sizeof head,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_mock\r\n"
                             "Content-Length: %d\r\n\r\n", size);
    append(&c->out, head, (size_t)head_size);
    append(&c->out, body, (size_t)size);
}

/* Answers what has come; a request behind a running stream waits for its end. */
static void serve(struct connection *c)
{
    while (!c->dead && !c->streaming && held(&c->in)) {
        char *request = c->in.data + c->in.begin;
        char *end = find(request, held(&c->in), "\r\n\r\n");
        if (!end)
            break;
        size_t head_size = (size_t)(end + 4 - request);
        size_t body_size = content_length(request, head_size);
        if (held(&c->in) < head_size + body_size)
            break;
        char *body = request + head_size;
        long number;
        if (find(body, body_size, "\"stream\":true") || find(body, body_size, "\"stream\": true"))
            begin_stream(c, body, body_size);
        else if ((number = number_after(body, body_size, "\"seed\":", -1)) >= 0 && find(body, body_size, "\"tools\":"))
            append_call(c, number);
        else
            append(&c->out, json.data, json.end);
        c->in.begin += head_size + body_size;
    }
    flush(c);
}

static void receive(struct connection *c)
{
    for (;;) {
        ssize_t got = recv(c->fd, reserve(&c->in, READ_BYTES), READ_BYTES, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        if (got > 0)
            c->in.end += (size_t)got;
        if (got < READ_BYTES)
            break;
    }
    serve(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = must(calloc(1, sizeof *c));
        c->fd = fd;
        c->place = -1;
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest);
    }
}

static void run_timers(void)
{
    uint64_t now = now_ns();
    while (heap_size && heap[0]->due_ns <= now) {
        struct connection *c = heap[0];
        send_event(c);
        if (c->streaming) {
            set_timer(c, c->due_ns + c->delay_ns);
            flush(c);
        } else {
            serve(c);
        }
    }
}

static void free_dead(void)
{
    while (dead) {
        struct connection *c = dead;
        dead = c->next_dead;
        free(c->in.data);
        free(c->out.data);
        free(c);
    }
}

static void make_json(void)
{
    char body[2048], head[256];
    int size = snprintf(body, sizeof body,
                        "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,"
                        "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (int i = 0; i < 1060; i++)
        body[size++] = i % 6 == 5 ? ' ' : (char)('a' + i * 7 % 26);
    size += snprintf(body + size, sizeof body - (size_t)size,
                     "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":%d,"
                     "\"completion_tokens\":193,\"total_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":128},"
                     "\"completion_tokens_details\":{\"reasoning_tokens\":64}},\"system_fingerprint\":\"fp_mock\"}",
                     PROMPT_TOKENS, PROMPT_TOKENS + 193);
    int head_size = snprintf(head, sizeof head,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_mock\r\n"
                             "x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
                             "Content-Length: %d\r\n\r\n", size);
    append(&json, head, (size_t)head_size);
    append(&json, body, (size_t)size);
}

static int listen_on(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, size) || listen(listener, 4096))
        die("listen");
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

/* Waits until something can be done, or the next timer is due. */
static int wait_for_events(struct epoll_event *events, int room)
{
    if (!heap_size)
        return epoll_wait(poller, events, room, -1);
    uint64_t now = now_ns(), wait = heap[0]->due_ns > now ? heap[0]->due_ns - now : 0;
    struct timespec timeout = {(time_t)(wait / NANOS), (long)(wait % NANOS)};
    return epoll_pwait2(poller, events, room, &timeout, NULL);
}

int main(int count, char **arguments)
{
    struct epoll_event events[512];
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    make_json();
    poller = epoll_create1(0);
    int listener = listen_on(count > 1 ? atoi(arguments[1]) : 0);
    struct epoll_event interest = {.events = EPOLLIN};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);
    while (!stopping) {
        int ready = wait_for_events(events, 512);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (!c->dead && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c);
            else if (!c->dead)
                flush(c);
        }
        run_timers();
        free_dead();
    }
    return 0;
}
