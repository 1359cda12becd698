/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_send.c: messages to the socket, at once if it takes them, else from a queue, in order.
 * Called by: rpc_call, rpc_stream, rpc_dispatch (PONG), rpc_wait (the head sends the rest).
 * Calls: rpc_socket.
 * Never: waits; with a full socket buffer somebody has to read meanwhile, or both sides stand still.
 */
#include "rpc/rpc_client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"

static void unsent_free(struct rpc_unsent *unsent)
{
    uint32_t i;

    for (i = unsent->sent_fds; i < unsent->nfds; i++) {
        (void)close(unsent->fds[i]);
    }
    lvc_free(unsent);
}

void rpc_send_forget(struct lvc_client *client)
{
    struct rpc_unsent *unsent;

    while ((unsent = client->unsent) != NULL) {
        client->unsent = unsent->next;
        unsent_free(unsent);
    }
    client->unsent_last = NULL;
    client->unsent_bytes = 0;
    client->pong_waits = false;
}

static int send_broke(struct lvc_client *client, int number)
{
    lvc_error why;

    (void)lvc_error_system(&why, LVC_FROM_RPC, number, "Cannot write data");
    rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
    return -1;
}

/* What could not be sent is copied: bytes from `from` on, descriptors from `fds_from` on. */
static int send_queue(struct lvc_client *client, const struct iovec *parts, size_t from,
                      const int *fds, uint32_t fds_from, uint32_t nfds)
{
    size_t total = parts[0].iov_len + parts[1].iov_len;
    struct rpc_unsent *unsent = lvc_malloc(sizeof(*unsent) + (total - from));
    lvc_error why;
    uint32_t i;

    if (unsent == NULL) {
        (void)lvc_error_memory(&why, LVC_FROM_RPC);
        goto broken;
    }
    memset(unsent, 0, sizeof(*unsent));
    unsent->len = total - from;
    if (from < parts[0].iov_len) {
        memcpy(unsent->data, (const uint8_t *)parts[0].iov_base + from, parts[0].iov_len - from);
        if (parts[1].iov_len > 0) {
            memcpy(unsent->data + (parts[0].iov_len - from), parts[1].iov_base, parts[1].iov_len);
        }
    } else if (unsent->len > 0) {
        memcpy(unsent->data, (const uint8_t *)parts[1].iov_base + (from - parts[0].iov_len),
               unsent->len);
    }
    for (i = fds_from; i < nfds; i++) {
        unsent->fds[unsent->nfds] = rpc_fd_copy(fds[i]);
        if (unsent->fds[unsent->nfds] < 0) {
            (void)lvc_error_system(&why, LVC_FROM_RPC, errno, "Cannot duplicate FD %d", fds[i]);
            goto broken;
        }
        unsent->nfds++;
    }
    if (client->unsent_last != NULL) {
        client->unsent_last->next = unsent;
    } else {
        client->unsent = unsent;
    }
    client->unsent_last = unsent;
    client->unsent_bytes += unsent->len;
    rpc_wake_head(client); /* so that it looks for room to write, too */
    return 0;

broken:
    /* Part of the message may be out, so nothing else can ever follow. */
    if (unsent != NULL) {
        unsent_free(unsent);
    }
    rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
    return -1;
}

int rpc_send(struct lvc_client *client, const uint8_t *head, size_t head_len, const uint8_t *body,
             size_t body_len, const int *fds, uint32_t nfds, bool whole)
{
    struct iovec parts[2] = {
        {.iov_base = (void *)(uintptr_t)head, .iov_len = head_len}, /* sendmsg only reads */
        {.iov_base = (void *)(uintptr_t)body, .iov_len = body_len},
    };
    uint32_t sent_fds = 0;
    size_t sent = 0;
    ssize_t n;

    if (client->closed != LVC_OPEN) {
        return -1;
    }
    if (client->unsent != NULL) {
        rpc_send_rest(client);
        if (client->closed != LVC_OPEN) {
            return -1;
        }
    }
    if (client->unsent == NULL) {
        n = rpc_socket_send(client->fd, parts, body_len > 0 ? 2 : 1);
        if (n < 0 && n != -EAGAIN && n != -EWOULDBLOCK && n != -EINTR) {
            return send_broke(client, (int)-n);
        }
        if (n > 0) {
            sent = (size_t)n;
            client->stats.bytes_sent += sent;
        }
        while (sent == head_len + body_len && sent_fds < nfds) {
            n = rpc_socket_send_fd(client->fd, fds[sent_fds]);
            if (n <= 0) {
                break; /* a fault shows again when the rest is sent */
            }
            client->stats.bytes_sent++;
            sent_fds++;
        }
    }
    if (sent == head_len + body_len && sent_fds == nfds) {
        return 0;
    }
    if (whole && sent == 0) {
        return 1;
    }
    return send_queue(client, parts, sent, fds, sent_fds, nfds);
}

int rpc_send_header(struct lvc_client *client, const struct rpc_header *header)
{
    uint8_t bytes[RPC_PREFIX_BYTES];

    rpc_header_encode(header, sizeof(bytes), bytes);
    return rpc_send(client, bytes, sizeof(bytes), NULL, 0, NULL, 0, false);
}

void rpc_send_rest(struct lvc_client *client)
{
    struct rpc_unsent *unsent;
    struct iovec part;
    ssize_t n;

    while ((unsent = client->unsent) != NULL && client->closed == LVC_OPEN) {
        if (unsent->sent < unsent->len) {
            part.iov_base = unsent->data + unsent->sent;
            part.iov_len = unsent->len - unsent->sent;
            n = rpc_socket_send(client->fd, &part, 1);
        } else if (unsent->sent_fds < unsent->nfds) {
            n = rpc_socket_send_fd(client->fd, unsent->fds[unsent->sent_fds]);
        } else {
            client->unsent = unsent->next;
            if (client->unsent == NULL) {
                client->unsent_last = NULL;
                client->pong_waits = false;
            }
            unsent_free(unsent);
            continue;
        }
        if (n == -EAGAIN || n == -EWOULDBLOCK || n == -EINTR) {
            return;
        }
        if (n < 0) {
            (void)send_broke(client, (int)-n);
            return;
        }
        client->stats.bytes_sent += (uint64_t)n;
        if (unsent->sent < unsent->len) {
            unsent->sent += (size_t)n;
            client->unsent_bytes -= (size_t)n;
        } else {
            (void)close(unsent->fds[unsent->sent_fds]);
            unsent->sent_fds++;
        }
    }
}
