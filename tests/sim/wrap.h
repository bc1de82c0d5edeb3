/* SPDX-License-Identifier: MIT */
/*
 * wrap.h - Calls of the code under test that the simulator answers
 *
 * Makefile.inc has the list of names for the linker's --wrap: a call of NAME
 * reaches __wrap_NAME, and __real_NAME is the C library's.
 */
#ifndef FERRY_TESTS_SIM_WRAP_H
#define FERRY_TESTS_SIM_WRAP_H

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/* threads.c */
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_condattr_init(pthread_condattr_t *a);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t clock);
int __wrap_pthread_condattr_destroy(pthread_condattr_t *a);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int __wrap_pthread_cond_destroy(pthread_cond_t *c);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *t);
int __wrap_pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m,
				  clockid_t clock, const struct timespec *t);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
			  void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **result);
int __wrap_pthread_detach(pthread_t t);
int __wrap_pthread_setname_np(pthread_t t, const char *name);
pthread_t __wrap_pthread_self(void);
pid_t __wrap_gettid(void);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_usleep(useconds_t us);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_sched_yield(void);
void __wrap_priority_raise(void);
void __wrap_priority_bulk(void);

/* memory.c */
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd,
		  off_t offset);
int __wrap_munmap(void *at, size_t len);
void *__real_malloc(size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd,
		  off_t offset);
int __real_munmap(void *at, size_t len);

/* files.c */
int __wrap_eventfd(unsigned value, int flags);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap___poll_chk(struct pollfd *p, nfds_t n, int ms, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t n);
int __wrap_close(int fd);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __real_write(int fd, const void *from, size_t n);
int __real_close(int fd);

/* network.c */
int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_listen(int fd, int backlog);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *len, int flags);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value,
		      socklen_t *len);
ssize_t __wrap_recv(int fd, void *to, size_t max, int flags);
ssize_t __wrap___recv_chk(int fd, void *to, size_t max, size_t size,
			  int flags);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_getaddrinfo(const char *host, const char *port,
		       const struct addrinfo *hints, struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *a);

/* node.c */
void __wrap_log_line(const char *fmt, ...);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

#endif /* FERRY_TESTS_SIM_WRAP_H */
