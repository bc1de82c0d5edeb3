// SPDX-License-Identifier: MIT
/* kvm.c - KVM through typed wrappers: the VM, its memory, its interrupts */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm.h"

/* What the user can do about a failure, or "" */
static const char *remedy(int code)
{
	switch (code) {
	case EACCES:
		return " (add this user to the group 'kvm')";
	case EMFILE:
		return " (raise the limit of open files: ulimit -n)";
	case ENFILE:
		return " (raise the host's limit of open files: sysctl fs.file-max)";
	case ENOMEM:
		return " (free memory on this host, or raise the limit of the control group)";
	default:
		return "";
	}
}

int kvm_call(int fd, unsigned long request, const char *name, void *arg,
	     struct error *err)
{
	int rc = ioctl(fd, request, arg);

	return rc >= 0 ? rc : error_set(err, errno, "%s: %s%s", name,
					strerrordesc_np(errno), remedy(errno));
}

int kvm_has(const struct kvm *k, int cap)
{
	int rc = ioctl(k->vm >= 0 ? k->vm : k->sys, KVM_CHECK_EXTENSION,
		       (unsigned long)cap);

	return rc > 0 ? rc : 0;
}

static int open_dev(struct kvm *k, struct error *err)
{
	const char *cure;
	int version;

	k->sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->sys < 0) {
		cure = remedy(errno);
		return error_set(err, errno, "cannot open /dev/kvm: %s%s",
			strerrordesc_np(errno), *cure ? cure :
			" (is virtualization on in the firmware, and kvm_intel or kvm_amd loaded?)");
	}

	version = ioctl(k->sys, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return error_set(err, ENOTSUP,
			"/dev/kvm has API version %d, not %d", version,
			KVM_API_VERSION);
	return 0;
}

int kvm_open(struct kvm *k, struct error *err)
{
	int rc;

	*k = (struct kvm){ .sys = -1, .vm = -1 };
	rc = open_dev(k, err);
	if (!rc)
		k->vm = rc = KVM_CALL(k->sys, KVM_CREATE_VM, 0, err);
	if (rc >= 0)
		rc = KVM_CALL(k->sys, KVM_GET_VCPU_MMAP_SIZE, 0, err);
	if (rc >= 0) {
		k->run_size = (size_t)rc;
		rc = kvm_arch_init(k, err);
	}
	if (rc < 0)
		kvm_close(k);
	return rc < 0 ? rc : 0;
}

void kvm_close(struct kvm *k)
{
	if (k->vm >= 0)
		close(k->vm);
	if (k->sys >= 0)
		close(k->sys);
	*k = (struct kvm){ .sys = -1, .vm = -1 };
}

int kvm_set_memory(struct kvm *k, const struct kvm_slot *s, struct error *err)
{
	struct kvm_userspace_memory_region r = {
		.slot = s->slot, .flags = s->flags,
		.guest_phys_addr = s->gpa, .memory_size = s->size,
		.userspace_addr = (uintptr_t)s->hva,
	};

	return KVM_CALL(k->vm, KVM_SET_USER_MEMORY_REGION, &r, err);
}

/* Offered as a bit mask; 0 on a kernel without it (before 5.2) */
int kvm_dirty_log_manual(struct kvm *k, bool initially_set, struct error *err)
{
	const uint64_t wanted = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
		(initially_set ? KVM_DIRTY_LOG_INITIALLY_SET : 0);
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { wanted },
	};
	const uint64_t offered = (uint64_t)kvm_has(k,
					KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	if ((offered & wanted) != wanted)
		return error_set(err, ENOTSUP,
			"this KVM's dirty log cannot be cleared in portions (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is 0x%llx)",
			(unsigned long long)offered);
	return KVM_CALL(k->vm, KVM_ENABLE_CAP, &cap, err);
}

int kvm_get_dirty_log(struct kvm *k, uint32_t slot, uint64_t *bitmap,
		      struct error *err)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return KVM_CALL(k->vm, KVM_GET_DIRTY_LOG, &log, err);
}

int kvm_clear_dirty_log(struct kvm *k, const struct kvm_page_range *p,
			const uint64_t *bitmap, struct error *err)
{
	struct kvm_clear_dirty_log log = {
		.slot = p->slot, .first_page = p->first,
		.num_pages = p->count, .dirty_bitmap = (void *)bitmap,
	};

	return KVM_CALL(k->vm, KVM_CLEAR_DIRTY_LOG, &log, err);
}

void kvm_irq_line(struct kvm *k, unsigned irq, int level)
{
	struct kvm_irq_level l = { .irq = irq, .level = (uint32_t)level };

	/* Fails only for a line that the in-kernel irqchip does not have */
	ioctl(k->vm, KVM_IRQ_LINE, &l);
}

static int set_irqfd(struct kvm *k, unsigned irq, int fd, uint32_t flags,
		     struct error *err)
{
	struct kvm_irqfd i = {
		.fd = (uint32_t)fd, .gsi = irq, .flags = flags,
	};

	return KVM_CALL(k->vm, KVM_IRQFD, &i, err);
}

int kvm_irqfd_assign(struct kvm *k, unsigned irq, int fd, struct error *err)
{
	return set_irqfd(k, irq, fd, 0, err);
}

int kvm_irqfd_deassign(struct kvm *k, unsigned irq, int fd, struct error *err)
{
	return set_irqfd(k, irq, fd, KVM_IRQFD_FLAG_DEASSIGN, err);
}

static int set_ioeventfd(struct kvm *k, const struct kvm_doorbell *d, int fd,
			 uint32_t flags, struct error *err)
{
	struct kvm_ioeventfd e = {
		.datamatch = d->value, .addr = d->address, .len = d->size,
		.fd = fd, .flags = flags,
	};

	if (d->port)
		e.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (d->match)
		e.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	return KVM_CALL(k->vm, KVM_IOEVENTFD, &e, err);
}

int kvm_ioeventfd_assign(struct kvm *k, const struct kvm_doorbell *d, int fd,
			 struct error *err)
{
	return set_ioeventfd(k, d, fd, 0, err);
}

int kvm_ioeventfd_deassign(struct kvm *k, const struct kvm_doorbell *d,
			   int fd, struct error *err)
{
	return set_ioeventfd(k, d, fd, KVM_IOEVENTFD_FLAG_DEASSIGN, err);
}
