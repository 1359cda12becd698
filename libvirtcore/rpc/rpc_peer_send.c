/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_peer_send.c: messages to one client, at once if its socket takes them, else queued, in order.
 * Called by: rpc_server_reply, rpc_server_work (errors, PONG), rpc_server_wait (the rest).
 * Calls: rpc_socket, rpc_ready.
 * Never: waits; queues more than the server's bound plus one message; takes the server's lock.
 */
#include "rpc/rpc_server.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"

static void out_free(struct rpc_out *out)
{
    uint32_t i;

    for (i = out->sent_fds; i < out->nfds; i++) {
        (void)close(out->fds[i]);
    }
    lvc_free(out);
}

void rpc_peer_forget_output(struct rpc_peer *peer)
{
    struct rpc_out *out;

    while ((out = peer->unsent) != NULL) {
        peer->unsent = out->next;
        out_free(out);
    }
    peer->unsent_last = NULL;
    peer->pong_waits = false;
    atomic_store_explicit(&peer->unsent_bytes, 0, memory_order_relaxed);
}

static bool is_later(ssize_t result)
{
    return result == -EAGAIN || result == -EWOULDBLOCK || result == -EINTR || result == -ENOBUFS;
}

static int send_broke(struct rpc_peer *peer, ssize_t result, lvc_error *why)
{
    peer->shut = true;
    return lvc_error_system(why, LVC_FROM_RPC, (int)-result, "Cannot write data");
}

static void want_write(struct rpc_peer *peer, bool want)
{
    if (peer->wants_write != want && peer->fd >= 0) {
        peer->wants_write = want;
        (void)rpc_ready_want_write(&peer->server->ready, peer->fd, peer->id, want);
    }
}

/* The bytes from `from` on and the descriptors from `fds_from` on wait for the client to read. */
static int out_queue(struct rpc_peer *peer, const uint8_t *data, size_t len, const int *fds,
                     uint32_t fds_from, uint32_t nfds, lvc_error *why)
{
    size_t limit = atomic_load_explicit(&peer->server->max_unsent, memory_order_relaxed);
    size_t before = atomic_load_explicit(&peer->unsent_bytes, memory_order_relaxed);
    struct rpc_out *out;
    uint32_t i;

    if (before > 0 && (before >= limit || len > limit - before)) {
        peer->shut = true;
        return lvc_error_set(why, LVC_ERR_RPC, LVC_FROM_RPC,
                             "client does not read: %zu bytes wait for it, limit %zu",
                             before + len, limit);
    }
    out = lvc_malloc(sizeof(*out) + len);
    if (out == NULL) {
        peer->shut = true;
        return lvc_error_memory(why, LVC_FROM_RPC);
    }
    memset(out, 0, sizeof(*out));
    out->len = len;
    if (len > 0) {
        memcpy(out->data, data, len);
    }
    for (i = fds_from; i < nfds; i++) {
        out->fds[out->nfds] = rpc_fd_copy(fds[i]);
        if (out->fds[out->nfds] < 0) {
            peer->shut = true;
            (void)lvc_error_system(why, LVC_FROM_RPC, errno, "Cannot duplicate FD %d", fds[i]);
            out_free(out);
            return -1;
        }
        out->nfds++;
    }
    if (peer->unsent_last != NULL) {
        peer->unsent_last->next = out;
    } else {
        peer->unsent = out;
    }
    peer->unsent_last = out;
    atomic_fetch_add_explicit(&peer->unsent_bytes, len + out->nfds, memory_order_relaxed);
    want_write(peer, true);
    return 0;
}

static void out_count(struct rpc_peer *peer, ssize_t n)
{
    atomic_fetch_add_explicit(&peer->server->bytes_sent, (uint64_t)n, memory_order_relaxed);
}

/* `out` held. */
static int out_send(struct rpc_peer *peer, const uint8_t *data, size_t len, const int *fds,
                    uint32_t nfds, lvc_error *why)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len}; /* only read */
    uint32_t sent_fds = 0;
    size_t sent = 0;
    ssize_t n;

    if (peer->unsent == NULL) {
        n = rpc_socket_send(peer->fd, &part, 1);
        if (n < 0 && !is_later(n)) {
            return send_broke(peer, n, why);
        }
        if (n > 0) {
            sent = (size_t)n;
            out_count(peer, n);
        }
        while (sent == len && sent_fds < nfds) {
            n = rpc_socket_send_fd(peer->fd, fds[sent_fds]);
            if (n <= 0) {
                break; /* a fault shows again when the rest is sent */
            }
            out_count(peer, n);
            sent_fds++;
        }
        if (sent == len && sent_fds == nfds) {
            return 0;
        }
    }
    return out_queue(peer, data + sent, len - sent, fds, sent_fds, nfds, why);
}

int rpc_peer_send(struct rpc_peer *peer, const uint8_t *data, size_t len, const int *fds,
                  uint32_t nfds, lvc_error *why)
{
    int rc;

    (void)pthread_mutex_lock(&peer->out);
    if (peer->shut) {
        rc = lvc_error_set(why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC, "client is gone");
    } else {
        rc = out_send(peer, data, len, fds, nfds, why);
    }
    (void)pthread_mutex_unlock(&peer->out);
    return rc;
}

/* `out` held. */
static int out_send_rest(struct rpc_peer *peer, lvc_error *why)
{
    struct rpc_out *out;
    struct iovec part;
    ssize_t n;

    while ((out = peer->unsent) != NULL) {
        if (out->sent < out->len) {
            part.iov_base = out->data + out->sent;
            part.iov_len = out->len - out->sent;
            n = rpc_socket_send(peer->fd, &part, 1);
        } else if (out->sent_fds < out->nfds) {
            n = rpc_socket_send_fd(peer->fd, out->fds[out->sent_fds]);
        } else {
            peer->unsent = out->next;
            if (peer->unsent == NULL) {
                peer->unsent_last = NULL;
                peer->pong_waits = false;
            }
            out_free(out);
            continue;
        }
        if (is_later(n)) {
            return 0;
        }
        if (n < 0) {
            return send_broke(peer, n, why);
        }
        out_count(peer, n);
        if (out->sent < out->len) {
            out->sent += (size_t)n;
            atomic_fetch_sub_explicit(&peer->unsent_bytes, (size_t)n, memory_order_relaxed);
        } else {
            (void)close(out->fds[out->sent_fds]);
            out->sent_fds++;
            atomic_fetch_sub_explicit(&peer->unsent_bytes, 1, memory_order_relaxed);
        }
    }
    want_write(peer, false);
    return 0;
}

int rpc_peer_send_rest(struct rpc_peer *peer, lvc_error *why)
{
    int rc = 0;

    (void)pthread_mutex_lock(&peer->out);
    if (!peer->shut) {
        rc = out_send_rest(peer, why);
    }
    (void)pthread_mutex_unlock(&peer->out);
    return rc;
}

int rpc_peer_pong(struct rpc_peer *peer, lvc_error *why)
{
    const struct rpc_header pong = {
        .program = LVC_KEEPALIVE_PROGRAM,
        .version = LVC_KEEPALIVE_PROTOCOL_VERSION,
        .procedure = RPC_KEEPALIVE_PONG,
        .type = RPC_MESSAGE,
    };
    uint8_t bytes[RPC_PREFIX_BYTES];
    int rc = 0;

    rpc_header_encode(&pong, sizeof(bytes), bytes);
    (void)pthread_mutex_lock(&peer->out);
    /* A client that asks without reading does not fill our memory: one answer waits for all. */
    if (!peer->shut && !peer->pong_waits) {
        rc = out_send(peer, bytes, sizeof(bytes), NULL, 0, why);
        peer->pong_waits = rc == 0 && peer->unsent != NULL;
    }
    (void)pthread_mutex_unlock(&peer->out);
    return rc;
}
