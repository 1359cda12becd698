/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server.h: what the parts of the server share.
 * Called by: rpc_server (birth, death, limits), rpc_server_accept (clients come), rpc_server_wait
 * (who polls, who sleeps), rpc_server_work (a peer's messages become work), rpc_server_reply
 * (answers, events, streams), rpc_peer and rpc_peer_send (one client).
 * Never: included outside this room.
 *
 * Rules. 1: the server's lock guards everything but a peer's output, which that peer's `out` guards,
 * and a peer's input, which belongs to the worker that made it `busy`. 2: who holds a peer's `out`
 * never takes the server's lock; the other order is allowed. 3: nothing that could wait is done under
 * either lock. 4: a peer's descriptor is closed by whoever ends the peer, or by its busy worker; its
 * memory is counted. 5: C never calls Python.
 */
#ifndef LVC_RPC_SERVER_H
#define LVC_RPC_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base_buf.h"
#include "base/base_look.h"
#include "generated/tables.h"
#include "libvirtcore.h"
#include "rpc/rpc_frame.h"
#include "rpc/rpc_keepalive.h"
#include "rpc/rpc_ready.h"
#include "rpc/rpc_socket.h"

/* Nobody needs more clients than this; a peer's slot is the low part of its id. */
#define RPC_SLOT_BITS LVC_SLOT_BITS
#define RPC_SLOTS_MAX (1U << RPC_SLOT_BITS)

/* What the keys of rpc_ready mean: ids of peers, but for these. */
#define RPC_KEY_LISTENER ((uint64_t)1 << 62)
#define RPC_KEY_WAKE ((uint64_t)1 << 63)

/* Listening sockets: unix rw and ro, admin, tcp, tls, each for two families and some by activation. */
#define RPC_LISTENERS_MAX 64

/* Who has not authenticated sends no longer message than this. */
#define RPC_ANONYMOUS_LENGTH_MAX ((uint32_t)256 << 10)

/* Calls of a client with this much unsent output wait until it has read some. */
#define RPC_OUTPUT_PAUSE ((size_t)4 << 20)

/* A worker that is away with a call this long gets a deputy, and for a while nobody is waited for. */
#define RPC_PATIENCE_US 200
#define RPC_EAGER_US 10000

/* How often an idle worker looks whether the leader is away. */
#define RPC_LOOK_US 600

/* It looks this many times in vain before it really sleeps. */
#define RPC_QUIET_LOOKS 25

/* Whoever calls again within this time is looked out for rather than slept for (base_look). */
#define RPC_SOON_US 100

/* Work that is taken without asking the system what else came. */
#define RPC_TAKES_MAX 32

/* Accepting fails for want of descriptors or memory: try again after this. */
#define RPC_ACCEPT_RETRY_MS 100

/* All normal workers were busy this long: one more would do good. */
#define RPC_STARVED_MS 10

enum rpc_peer_state {
    RPC_PEER_NEW,  /* came; Python has not said yet that it may stay */
    RPC_PEER_OPEN,
    RPC_PEER_GONE,
};

struct rpc_out {
    struct rpc_out *next;
    size_t len;
    size_t sent;
    uint32_t nfds;
    uint32_t sent_fds;
    int fds[LVC_NET_MESSAGE_NUM_FDS_MAX];
    uint8_t data[];
};

/* A call that a prio worker read but left for the others. */
struct rpc_waiting {
    struct rpc_waiting *next;
    struct rpc_header header;
    int64_t received_us;
    uint32_t nfds;
    int fds[LVC_NET_MESSAGE_NUM_FDS_MAX];
    size_t len;
    uint8_t data[];
};

struct rpc_peer {
    struct lvc_server *server;
    uint64_t id;

    /* server's lock */
    uint32_t references; /* the table, and workers with a call of this peer */
    enum rpc_peer_state state;
    uint32_t service;
    bool authenticated;
    bool announced; /* Python knows it */
    bool settled;   /* Python has answered that */
    bool doomed;    /* to end as soon as it is settled */
    bool busy;      /* a worker has its input */
    bool queued;
    bool parked;      /* nothing for prio workers */
    bool readable;    /* something came since it was last read to the end */
    bool hangup;      /* and nothing more will */
    bool more;        /* whole messages stand in the framer */
    bool stream_turn;  /* a worker has a stream message */
    bool stream_waits; /* the next message is one, too */
    bool tell_accepted;
    bool tell_closed;
    bool tell_drained;
    bool close_when_sent;
    int64_t drain_below; /* -1: nobody asked */
    uint32_t requests;   /* calls and stream messages under way */
    uint64_t calls;
    int64_t since_ms;
    int64_t since_epoch_ms;
    struct rpc_keepalive keepalive;
    struct rpc_waiting *waiting;
    struct rpc_waiting *waiting_last;
    struct rpc_peer *queue_previous;
    struct rpc_peer *queue_next;
    lvc_error why;

    /* the busy worker's */
    struct rpc_framer framer;
    int in_fds[LVC_NET_MESSAGE_NUM_FDS_MAX];
    uint32_t in_nfds;
    int fd; /* closed under `out`, not while busy */

    /* out */
    pthread_mutex_t out;
    bool passes_fds;
    bool shut; /* nothing can be sent any more */
    bool wants_write;
    bool pong_waits;
    struct rpc_out *unsent;
    struct rpc_out *unsent_last;
    atomic_size_t unsent_bytes; /* with one for each descriptor */
};

struct rpc_listener {
    int fd; /* -1: free */
    uint32_t service;
    bool watched;
    bool ready;
};

struct lvc_worker {
    struct lvc_server *server;
    bool prio;
    bool serving; /* has a job: counts as busy */
    bool idle;    /* sleeps in the list of idle workers */
    bool called;  /* and shall get up */
    struct lvc_worker *idle_next;
    pthread_cond_t wakeup;
    bool detached; /* the stream message in its hands counts on */
    struct rpc_peer *peer; /* of the call, stream message or new client in its hands */
    const struct lvc_procedure *procedure;
    uint32_t version;
    struct lvc_buf result;
    struct lvc_buf out;
    const uint8_t *shown; /* result as Python knows it */
    size_t shown_room;
    int fds[LVC_NET_MESSAGE_NUM_FDS_MAX];     /* that came, job.nfds */
    int out_fds[LVC_NET_MESSAGE_NUM_FDS_MAX]; /* for the answer */
    uint32_t out_nfds;
    lvc_job job;
};

struct lvc_server {
    pthread_mutex_t lock;
    uint32_t references; /* the owner and each worker */
    pid_t process;
    uint32_t codec_flags;
    lvc_server_limits limits;
    atomic_size_t max_unsent;
    bool stopping;

    uint32_t programs[8];
    uint32_t nprograms;
    uint64_t *triples; /* program << 32 | procedure */
    size_t ntriples;

    struct rpc_ready ready;
    struct rpc_wake wake;
    struct rpc_listener listeners[RPC_LISTENERS_MAX];
    uint32_t nlisteners;
    bool accept_paused;      /* asked for */
    int64_t accept_retry_ms; /* 0: not waiting */
    int64_t tick_ms;         /* when some peer has to be looked at */

    struct rpc_peer **peers; /* by slot */
    uint32_t nslots;
    uint32_t generation;
    uint32_t nclients;   /* not gone */
    uint32_t nanonymous; /* of them */
    uint32_t nasked;     /* of them: keepalive on */

    struct rpc_peer *first; /* peers with work */
    struct rpc_peer *last;

    struct lvc_worker *leader; /* polls, or has just polled */
    bool polling;
    struct lvc_worker *watcher; /* idle, looks after the leader */
    struct lvc_worker *idle;    /* normal ones */
    struct lvc_worker *idle_prio;
    uint32_t nworkers; /* normal ones */
    uint32_t nserving; /* of them */
    int64_t left_us;
    int64_t eager_us; /* until then nobody is waited for */
    uint64_t departures;
    uint32_t takes; /* since the last poll */
    struct lvc_look look;
    int64_t busy_since_ms; /* all normal workers; 0: not */
    pthread_cond_t starving;
    uint32_t starvers;

    lvc_server_stats stats;
    atomic_uint_fast64_t bytes_sent;
    atomic_uint_fast64_t pings;
    atomic_uint_fast64_t refused;
    atomic_uint_fast64_t ignored;
};

/* ---- rpc_server: all with the server's lock held, unless said otherwise ---- */

struct rpc_peer *rpc_server_find(struct lvc_server *server, uint64_t id);
void rpc_server_release(struct lvc_server *server); /* lock not held */
const struct lvc_program *rpc_server_program(const struct lvc_server *server, uint32_t number);
bool rpc_server_wants_triples(const struct lvc_server *server, uint32_t program,
                              uint32_t procedure);

/* ---- rpc_server_accept ---- */

void rpc_server_watch(struct lvc_server *server); /* listen, or not, as the limits say */
void rpc_server_accept(struct lvc_server *server); /* from those sockets that are ready */
int64_t rpc_server_tick(struct lvc_server *server, int64_t now_ms); /* ms until the next, or -1 */

/* ---- rpc_peer ---- */

struct rpc_peer *rpc_peer_new(struct lvc_server *server, int fd, uint32_t service, lvc_error *err);
void rpc_peer_release(struct rpc_peer *peer);

/* It is over. Whoever has to know is told; what belongs to nobody any more is freed. */
void rpc_peer_fail(struct rpc_peer *peer, const lvc_error *why);
void rpc_peer_end(struct rpc_peer *peer, const char *why);

/* Into the queue of work, if there is any that may be done now. */
void rpc_peer_enqueue(struct rpc_peer *peer);
void rpc_peer_dequeue(struct rpc_peer *peer);
void rpc_peer_request_done(struct rpc_peer *peer);
void rpc_peer_close_fd(struct rpc_peer *peer);
void rpc_peer_output_moved(struct rpc_peer *peer); /* less is unsent than before */
bool rpc_peer_has_room(const struct rpc_peer *peer);

/* ---- rpc_peer_send: no lock held ---- */

/* Send or queue. 0; -1 with *why when the peer has to be ended. */
int rpc_peer_send(struct rpc_peer *peer, const uint8_t *data, size_t len, const int *fds,
                  uint32_t nfds, lvc_error *why);
int rpc_peer_send_rest(struct rpc_peer *peer, lvc_error *why);
int rpc_peer_pong(struct rpc_peer *peer, lvc_error *why);
void rpc_peer_forget_output(struct rpc_peer *peer); /* `out` held */

/* ---- rpc_server_work ---- */

/* A piece of work into the worker's hands, or false. Lets go of the lock meanwhile. */
bool rpc_work_take(struct lvc_worker *worker);
void rpc_worker_drop_fds(struct lvc_worker *worker);

/* ---- rpc_server_wait ---- */

void rpc_server_wake(struct lvc_server *server); /* somebody who takes the work that has come up */
void rpc_server_call_idle(struct lvc_server *server);

/* ---- rpc_server_reply ---- */

bool rpc_is_call(const struct lvc_procedure *procedure); /* not an event, not a gap */

/* A whole error message behind what *out has. */
int rpc_error_encode(struct lvc_buf *out, const struct rpc_header *call, uint32_t type,
                     const char *message, lvc_error *err);

/* The answer to a call: 0; 1 when an error for the client came of it, with the reason in *err; -1. */
int rpc_answer_encode(struct lvc_buf *out, const struct rpc_header *call,
                      const struct lvc_procedure *procedure, int answer, const uint8_t *data,
                      size_t len, uint32_t nfds, lvc_error *err);

/* Lock held: what rpc_peer_send refused to do ends the peer. */
void rpc_peer_send_failed(struct rpc_peer *peer, const lvc_error *why);

#endif
