/* Calls a chat endpoint and measures: POSTs over HTTP/1.1 with keep-alive, answers whole or streamed.
 *
 *   load -p PORT [-P PATH] [-c CONNECTIONS] [-n REQUESTS] [-W WARM_UP_REQUESTS] [-D STOP_ASKING_AFTER_SECONDS]
 *        [-T GIVE_UP_AFTER_SECONDS] [-r REQUESTS_A_SECOND] [-s [-u] [-N EVENTS] [-d DELAY_US] [-R RAMP_MS]] [-f BODIES]
 *
 * Closed loop: each connection asks again when its answer is whole. With -r requests come at that rate, whatever became of
 * those before, and latency counts from when a request was due. -s asks for streams, -u for usage in them; over -R the
 * connections open one after the other. A stream is good only when the status is 200, every event and [DONE] came, and
 * the body ended as HTTP says. One line of JSON on stdout; times in microseconds; the first failures on stderr.
 * -f: the bodies to send, one a line, in their order, each once; else one of a kilobyte is sent again and again.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define STAMP_BYTES (sizeof STAMP - 1 + STAMP_DIGITS)
#define PROMPT_BYTES 750
#define FAILURES_TOLD 3

struct samples {
    uint64_t *ns;
    size_t count, room;
};

enum state { IDLE, CONNECTING, HEAD, BODY };
enum part { SIZE_LINE, CHUNK, CHUNK_END, TRAILER };

struct connection {
    int fd;
    bool open;
    enum state state;
    bool is_warm_up, chunked, has_bytes, saw_done, keep_alive;
    uint64_t due, last_event; /* nanoseconds */
    const struct buffer *request;
    size_t sent, head_size, line_size, carried;
    int64_t left; /* of the body or the chunk; -1: until the connection closes */
    enum part part;
    int events;
    char head[4096], line[32], carry[STAMP_BYTES];
};

static struct {
    int port, connections, requests, warm_up, events, delay_us, ramp_ms;
    bool stream, usage;
    const char *path, *bodies;
    double rate, stop_after, give_up_after;
} options = {.connections = 10, .requests = 1000, .events = 50, .delay_us = 20000, .path = "/v1/chat/completions",
             .give_up_after = 120};

static struct samples latency, first_byte, travel, gap;
static int issued, finished, good, failed, poller, idle_count;
static uint64_t events_total, bytes_total, late, measured_from, last_end;
static struct connection *connections, **idle;
static struct buffer *requests;
static int request_count;

static void add(struct samples *s, uint64_t ns)
{
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        s->ns = must(realloc(s->ns, s->room * sizeof *s->ns));
    }
    s->ns[s->count++] = ns;
}

/* A request's life. */

static void connect_to(struct connection *c)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connect(c->fd, (void *)&address, sizeof address);
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &interest);
    c->open = true;
}

static void hang_up(struct connection *c)
{
    if (c->open)
        close(c->fd);
    c->open = false;
}

static void send_request(struct connection *c)
{
    while (c->sent < held(c->request)) {
        ssize_t sent = send(c->fd, c->request->data + c->sent, held(c->request) - c->sent, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        c->sent += (size_t)sent;
    }
}

static void ask(struct connection *c, uint64_t due)
{
    bool open = c->open;
    int fd = c->fd;
    memset(c, 0, sizeof *c);
    c->fd = fd;
    c->open = open;
    c->due = due;
    c->request = &requests[issued % request_count];
    c->is_warm_up = issued++ < options.warm_up;
    if (open) {
        c->state = HEAD;
        send_request(c);
    } else {
        c->state = CONNECTING;
        connect_to(c);
    }
}

/* Ends the request at hand; `wrong` says what was wrong with the answer, NULL: nothing. */
static void end_request(struct connection *c, const char *wrong)
{
    last_end = now_ns();
    if (!wrong) {
        good++;
        if (!c->is_warm_up)
            add(&latency, last_end - c->due);
    } else if (failed++ < FAILURES_TOLD) {
        fprintf(stderr, "failed: %s; %d events; %.*s\n", wrong, c->events, (int)strcspn(c->head, "\r"), c->head);
    }
    if (++finished == options.warm_up)
        measured_from = last_end;
    if (wrong || !c->keep_alive)
        hang_up(c);
    c->state = IDLE;
    if (options.rate > 0)
        idle[idle_count++] = c;
    else if (issued < options.requests)
        ask(c, now_ns());
}

static void end_body(struct connection *c)
{
    bool whole = !options.stream || (c->events == options.events && c->saw_done);
    end_request(c, whole ? NULL : "the stream lacks events");
}

/* Reading answers. */

static void count_event(struct connection *c, uint64_t written, uint64_t now)
{
    uint64_t nominal = (uint64_t)options.delay_us * 1000;
    c->events++;
    events_total++;
    if (!c->is_warm_up) {
        add(&travel, now > written ? now - written : 0);
        if (c->last_event)
            add(&gap, now - c->last_event > nominal ? now - c->last_event - nominal : 0);
    }
    c->last_event = now;
}

/* Finds the stamps in bytes of a stream; one that is cut in two is carried over. */
static void read_events(struct connection *c, const char *bytes, size_t size, uint64_t now)
{
    static char all[STAMP_BYTES + READ_BYTES];
    if (!options.stream || !size)
        return;
    memcpy(all, c->carry, c->carried);
    memcpy(all + c->carried, bytes, size);
    const char *at = all, *end = all + c->carried + size, *found;
    while ((found = find(at, (size_t)(end - at), STAMP)) && found + STAMP_BYTES <= end) {
        count_event(c, strtoull(found + sizeof STAMP - 1, NULL, 10), now);
        at = found + STAMP_BYTES;
    }
    if ((found = find(at, (size_t)(end - at), "[DONE]"))) {
        c->saw_done = true;
        at = found + 6;
    }
    c->carried = (size_t)(end - at) < STAMP_BYTES ? (size_t)(end - at) : STAMP_BYTES - 1;
    memcpy(c->carry, end - c->carried, c->carried);
}

/* Takes a byte of what stands around chunks; true when it is the body's last. */
static bool frame_byte(struct connection *c, char byte)
{
    if (byte != '\n') {
        if (byte != '\r' && c->line_size < sizeof c->line - 1)
            c->line[c->line_size++] = byte;
        return false;
    }
    c->line[c->line_size] = 0;
    bool empty = !c->line_size;
    c->line_size = 0;
    if (c->part == TRAILER)
        return empty;
    if (c->part == CHUNK_END) {
        c->part = SIZE_LINE;
    } else {
        c->left = strtoll(c->line, NULL, 16);
        c->part = c->left ? CHUNK : TRAILER;
    }
    return false;
}

static void read_chunked(struct connection *c, const char *bytes, size_t size, uint64_t now)
{
    static char plain[READ_BYTES];
    size_t found = 0, at = 0;
    bool over = false;
    while (at < size && !over) {
        if (c->part != CHUNK) {
            over = frame_byte(c, bytes[at++]);
            continue;
        }
        size_t take = (size_t)c->left < size - at ? (size_t)c->left : size - at;
        memcpy(plain + found, bytes + at, take);
        found += take;
        at += take;
        c->left -= (int64_t)take;
        if (!c->left)
            c->part = CHUNK_END;
    }
    bytes_total += found;
    read_events(c, plain, found, now);
    if (over)
        end_body(c);
}

static void read_body(struct connection *c, const char *bytes, size_t size, uint64_t now)
{
    if (size && !c->has_bytes) {
        c->has_bytes = true;
        if (!c->is_warm_up)
            add(&first_byte, now - c->due);
    }
    if (c->chunked) {
        read_chunked(c, bytes, size, now);
        return;
    }
    bytes_total += size;
    read_events(c, bytes, size, now);
    if (c->left >= 0 && (c->left -= (int64_t)size) <= 0)
        end_body(c);
}

/* Takes bytes of the head; gives how many belong to it, or 0 while it is not whole. */
static size_t read_head(struct connection *c, const char *bytes, size_t size)
{
    size_t before = c->head_size, room = sizeof c->head - 1 - before;
    size_t take = size < room ? size : room;
    memcpy(c->head + before, bytes, take);
    c->head[before + take] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    c->head_size = end ? (size_t)(end + 4 - c->head) : before + take;
    if (!end)
        return 0;
    *end = 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
    c->keep_alive = strcasestr(c->head, "\r\nconnection: close") == NULL;
    c->left = length ? atoll(length + 17) : -1;
    return c->head_size - before;
}

static void take(struct connection *c, const char *bytes, size_t size)
{
    uint64_t now = now_ns();
    if (c->state == HEAD) {
        size_t used = read_head(c, bytes, size);
        if (!used) {
            if (c->head_size == sizeof c->head - 1)
                end_request(c, "the head is too long");
            return;
        }
        if (strncmp(c->head, "HTTP/1.1 200", 12)) {
            end_request(c, "the status is not 200");
            return;
        }
        c->state = BODY;
        bytes += used;
        size -= used;
    }
    if (size || !c->left)
        read_body(c, bytes, size, now);
}

static void closed(struct connection *c)
{
    if (c->state == BODY && !c->chunked && c->left < 0)
        end_body(c);
    else if (c->state != IDLE)
        end_request(c, "the connection was closed");
    else
        hang_up(c);
}

static void receive(struct connection *c)
{
    static char bytes[READ_BYTES];
    while (c->open && c->state != CONNECTING) {
        ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            closed(c);
        else if (c->state != IDLE)
            take(c, bytes, (size_t)got);
    }
}

static void handle(struct connection *c, uint32_t events)
{
    if (!c->open)
        return;
    if (c->state == CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            end_request(c, "cannot connect");
            return;
        }
        c->state = HEAD;
    }
    if (c->state == HEAD)
        send_request(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(c);
}

/* When to ask. */

/* Asks wherever it is time to; gives how long nothing will be due. */
static uint64_t ask_when_due(uint64_t began)
{
    static int begun;
    static uint64_t next_due;
    uint64_t now = now_ns(), ramp = (uint64_t)options.ramp_ms * 1000000;
    if (options.rate > 0) {
        next_due = next_due ? next_due : began;
        while (issued < options.requests && next_due <= now && idle_count) {
            ask(idle[--idle_count], next_due);
            next_due = began + (uint64_t)(issued * 1e9 / options.rate);
        }
        late += issued < options.requests && next_due <= now;
        return issued < options.requests && next_due > now ? next_due - now : NANOS / 5;
    }
    uint64_t share = ramp / (uint64_t)options.connections;
    while (begun < options.connections && issued < options.requests && now >= began + share * (uint64_t)begun)
        ask(&connections[begun++], now);
    uint64_t due = began + share * (uint64_t)begun;
    return begun < options.connections && issued < options.requests && due > now ? due - now : NANOS / 5;
}

static void run(void)
{
    struct epoll_event events[512];
    uint64_t began = now_ns();
    measured_from = began;
    while (finished < options.requests) {
        double seconds = (double)(now_ns() - began) / 1e9;
        if (seconds > options.give_up_after)
            break;
        if (options.stop_after > 0 && seconds > options.stop_after && issued < options.requests)
            options.requests = issued;
        uint64_t wait = ask_when_due(began);
        wait = wait < NANOS / 5 ? wait : NANOS / 5;
        struct timespec timeout = {0, (long)wait};
        int ready = finished < options.requests ? epoll_pwait2(poller, events, 512, &timeout, NULL) : 0;
        for (int i = 0; i < ready; i++)
            handle(events[i].data.ptr, events[i].events);
    }
    failed += issued - finished;
}

/* What is asked, and what came of it. */

static void add_request(const char *body, size_t size)
{
    char head[1024];
    int head_size = snprintf(head, sizeof head,
                             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
                             "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 3.54.0\r\n"
                             "Authorization: Bearer sk-mock-0123456789abcdef\r\nX-Stainless-Lang: python\r\n"
                             "X-Stainless-Runtime: CPython\r\nContent-Length: %zu\r\n\r\n", options.path, options.port, size);
    if (head_size >= (int)sizeof head)
        die("the path is too long");
    requests = must(realloc(requests, (size_t)(request_count + 1) * sizeof *requests));
    struct buffer *made = &requests[request_count++];
    *made = (struct buffer){0};
    append(made, head, (size_t)head_size);
    append(made, body, size);
}

static void make_request(void)
{
    char body[4096];
    int size = snprintf(body, sizeof body, "{\"model\":\"gpt-4o-mini\",\"temperature\":0.2,");
    if (options.stream)
        size += snprintf(body + size, sizeof body - (size_t)size, "\"stream\":true,%s\"max_tokens\":%d,\"seed\":%d,",
                         options.usage ? "\"stream_options\":{\"include_usage\":true}," : "", options.events,
                         options.delay_us);
    size += snprintf(body + size, sizeof body - (size_t)size,
                     "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},"
                     "{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < PROMPT_BYTES; i++)
        body[size++] = i % 7 == 6 ? ' ' : (char)('a' + i * 11 % 26);
    size += snprintf(body + size, sizeof body - (size_t)size, "\"}]}");
    add_request(body, (size_t)size);
}

static void read_requests(void)
{
    FILE *file = fopen(options.bodies, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    if (!file)
        die(options.bodies);
    while ((size = getline(&line, &room, file)) > 1)
        add_request(line, (size_t)size - 1);
    if (!request_count)
        die(options.bodies);
    free(line);
    fclose(file);
    options.requests = request_count;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const struct samples *s, double share)
{
    return s->count ? (double)s->ns[(size_t)(share * (double)(s->count - 1) + 0.5)] / 1000 : 0;
}

static void print_samples(const char *name, struct samples *s)
{
    if (s->count)
        qsort(s->ns, s->count, sizeof *s->ns, by_size);
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, s->count,
           percentile(s, 0.5), percentile(s, 0.9), percentile(s, 0.99), percentile(s, 1));
}

static void read_options(int count, char **arguments)
{
    for (int option; (option = getopt(count, arguments, "p:P:c:n:W:D:T:r:suN:d:R:f:")) >= 0;)
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'n': options.requests = atoi(optarg); break;
        case 'W': options.warm_up = atoi(optarg); break;
        case 'D': options.stop_after = atof(optarg); break;
        case 'T': options.give_up_after = atof(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 's': options.stream = true; break;
        case 'u': options.usage = true; break;
        case 'N': options.events = atoi(optarg); break;
        case 'd': options.delay_us = atoi(optarg); break;
        case 'R': options.ramp_ms = atoi(optarg); break;
        case 'f': options.bodies = optarg; break;
        default: exit(2);
        }
    if (options.port <= 0 || options.connections <= 0) {
        fprintf(stderr, "load: -p PORT is needed, and at least one connection\n");
        exit(2);
    }
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    if (options.bodies)
        read_requests();
    else
        make_request();
    poller = epoll_create1(0);
    connections = must(calloc((size_t)options.connections, sizeof *connections));
    idle = must(calloc((size_t)options.connections, sizeof *idle));
    for (idle_count = 0; idle_count < options.connections; idle_count++)
        idle[idle_count] = &connections[idle_count];
    run();
    double seconds = (double)((last_end ? last_end : now_ns()) - measured_from) / 1e9;
    printf("{\"requests\":%d,\"good\":%d,\"failed\":%d,\"seconds\":%.3f,\"events\":%llu,\"bytes\":%llu,\"late\":%llu",
           issued, good, failed, seconds, (unsigned long long)events_total, (unsigned long long)bytes_total,
           (unsigned long long)late);
    print_samples("latency_us", &latency);
    print_samples("first_byte_us", &first_byte);
    print_samples("travel_us", &travel);
    print_samples("gap_us", &gap);
    printf("}\n");
    return 0;
}
