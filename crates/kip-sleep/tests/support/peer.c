/* What tests/figures.rs measures kip-sleep against: the same program with a C library. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

int main(void)
{
	sigset_t all;
	struct timespec hour = { 3600, 0 };

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	while (sigtimedwait(&all, NULL, &hour) < 0 && errno == EINTR)
		;
	return 0;
}
