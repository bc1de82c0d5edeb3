# SPDX-License-Identifier: MIT
"""Migration over TLS: who may, who may not, and what is said about it.

Certificates are made by certtool(1) in the test's directory.
"""

import os
import shutil
import socket
import ssl
import subprocess
import time

import wire
from ferry import Skip, check, equal, page
from wire import Message

SANITIZERS = {"address"}

BUSY = "work=verify mib=16 seed=6"
# Waits for "go": the bandwidth limit does not delay what a guest requests
WAITS = BUSY + " hold=1"
DAY = 86400


def certtool(*args):
    if not shutil.which("certtool"):
        raise Skip("no certtool here: scripts/install-deps")
    p = subprocess.run(["certtool", *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       check=False)
    equal(p.returncode, 0, f"certtool {args}: {p.stdout.decode()}")


class Pki:
    """A directory with a CA, and with certificates that it has signed."""

    def __init__(self, world, name, ca=None):
        # XDG_CONFIG_HOME/ferry/pki is where ferry looks by default
        self.home = world.path(name)
        self.dir = os.path.join(self.home, "ferry", "pki")
        self.env = {"XDG_CONFIG_HOME": self.home}
        os.makedirs(self.dir)
        self.ca = ca or self
        if ca:
            shutil.copy(ca.path("ca-cert.pem"), self.dir)
            return
        self._key("ca")
        self._template(["cn = \"A CA for tests\"", "ca", "cert_signing_key",
                        "crl_signing_key", "expiration_days = 10"])
        certtool("--generate-self-signed", "--load-privkey",
                 self.path("ca-key.pem"), "--template",
                 self.path("template"), "--outfile", self.path("ca-cert.pem"))

    def path(self, name):
        return os.path.join(self.dir, name)

    def _key(self, name):
        certtool("--generate-privkey", "--key-type", "ecdsa", "--outfile",
                 self.path(name + "-key.pem"))

    def _template(self, lines):
        with open(self.path("template"), "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def issue(self, kind, *names, begin=-DAY, end=10 * DAY):
        """A certificate for "server" or "client", valid from begin to end,
        in seconds from now."""
        def date(offset):
            return time.strftime("%Y-%m-%d %H:%M:%S UTC",
                                 time.gmtime(time.time() + offset))
        self._key(kind)
        self._template([
            "cn = \"ferry\"", "signing_key",
            "tls_www_server" if kind == "server" else "tls_www_client",
            f"activation_date = \"{date(begin)}\"",
            f"expiration_date = \"{date(end)}\"",
            *((f"ip_address = \"{n}\"" if n[0].isdigit()
               else f"dns_name = \"{n}\"") for n in names)])
        certtool("--generate-certificate", "--load-privkey",
                 self.path(kind + "-key.pem"), "--load-ca-certificate",
                 self.ca.path("ca-cert.pem"), "--load-ca-privkey",
                 self.ca.path("ca-key.pem"), "--template",
                 self.path("template"), "--outfile",
                 self.path(kind + "-cert.pem"))
        return self

    def both(self):
        return self.issue("server", "127.0.0.1").issue("client", "source")

    def psk(self, key="00112233445566778899aabbccddeeff", name="ferry"):
        """A shared key instead of certificates."""
        for file in os.listdir(self.dir):
            os.unlink(self.path(file))
        with open(self.path("keys.psk"), "w", encoding="ascii") as f:
            f.write(f"{name}:{key}\n")
        return self


def tls_uri(world):
    return world.uri("tcp").replace("tcp:", "tls:")


def start(world, source, destination, append=BUSY):
    """A guest on a machine with the one directory, and a destination with the
    other."""
    a = world.run(append, env=source.env).ready()
    b = world.receive(uri=tls_uri(world), env=destination.env)
    return a, b


def slowly(a, b):
    """The migration is in postcopy, and the limit keeps it there: no relay can
    hold messages that are encrypted."""
    a.qmp.execute("migrate-set-parameters",
                  **{"max-postcopy-bandwidth": 1 << 20})
    a.start_migration(b.uri)
    for vmm in a, b:
        vmm.wait_migration("postcopy-active")


def arrives(a, b):
    a.full_pass()
    a.migrate(b)
    b.full_pass()
    b.sweep()


def goes_on(b):
    """A guest that waited works, and all is right."""
    b.send("go")
    b.full_pass()
    b.sweep()
    b.verdict()


def test_moves(world, kind):
    """A guest with poison moves over TLS; the destination's log has no
    warning. All connections use it."""
    pki = Pki(world, "pki")
    pki.both() if kind == "X.509" else pki.psk()
    a, b = start(world, pki, pki)
    lost = {page(5), page(6), page(900)}
    a.poison_pages(lost)
    a.expect(lost)
    arrives(a, b)
    equal(b.poisoned(), lost, "poison at the destination")
    b.verdict(mce=len(lost))
    check("other hosts can reach" not in b.err.text(), b.err.text())


test_moves.cases = {"kind": ("X.509", "PSK")}


def test_resume(world, kind):
    """The connection is lost; the commands of an operator continue the
    migration, over TLS at another address."""
    pki = Pki(world, "pki")
    pki.both() if kind == "X.509" else pki.psk()
    a, b = start(world, pki, pki, WAITS)
    slowly(a, b)
    a.qmp.execute("migrate-pause")
    for vmm in a, b:
        vmm.wait_migration("postcopy-paused")
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    there = tls_uri(world)
    plain = there.replace("tls:", "tcp:")
    b.refused("began with TLS", "migrate-recover", uri=plain)
    a.refused("began with TLS", "migrate", uri=plain, resume=True)
    world.ferry("recover", "b", there)
    world.ferry("migrate", "--resume", "a", there)
    for vmm in a, b:
        vmm.wait_migration("completed", recovers=True)
    goes_on(b)


test_resume.cases = {"kind": ("X.509", "PSK")}


def fails(world, source, destination, here, there, host="127.0.0.1"):
    """The migration fails with these words on the source and in the
    destination's log; the guest stays; after that it moves without TLS."""
    a, b = start(world, source, destination)
    a.start_migration(b.uri.replace("127.0.0.1", host))
    m = a.wait_migration("failed")
    check(here in m["error-desc"], f"'{here}' is not in: {m['error-desc']}")
    b.said(there)
    equal(b.migration()["status"], "none", "status of the destination")
    a.wait_state("running")
    arrives(a, world.receive(name="c"))


def wrong_ca(world, good):
    return good, Pki(world, "other").both()


def other_name(world, good):
    return good, Pki(world, "other", good).issue("server", "10.1.2.3",
                                                 "other.example")


def other_key(world, good):
    other = Pki(world, "other", good).psk(key="00" * 16)
    return good.psk(), other


BAD = {
    "wrong CA": (wrong_ca, "is not signed by a CA of ca-cert.pem here",
                 "connection refused: the source refused"),
    "wrong name": (other_name, "is for 'other.example', not for '127.0.0.1'",
                   "the source refused this host's certificate"),
    "other key": (other_key, "keys.psk", "keys.psk"),
}


def test_refused(world, what):
    """The certificate or key is wrong: both sides say what is."""
    make, here, there = BAD[what]
    source, destination = make(world, Pki(world, "pki").both())
    fails(world, source, destination, here, there)


test_refused.cases = {"what": BAD}


def test_expired(world):
    """A listener does not open with a certificate that has expired. (That a
    source finds it: tests/unit/test_channel_tls.c, an_expired_peer_is_refused)
    """
    pki = Pki(world, "pki").issue("server", "127.0.0.1", end=-60)
    _, err = world.ferry("receive", "--name", "b", tls_uri(world), status=1,
                         env=pki.env)
    check("server-cert.pem expired on" in err, err)


def test_no_certificate(world):
    """A peer without a certificate is refused, before it can say HELLO; a
    source without one does not even try."""
    good = Pki(world, "pki").both()
    a, b = start(world, Pki(world, "bare", good), good)
    a.start_migration(b.uri)
    m = a.wait_migration("failed")
    check("cannot read" in m["error-desc"] and
          "client-cert.pem" in m["error-desc"], m["error-desc"])
    context = ssl.create_default_context(cafile=good.path("ca-cert.pem"))
    with socket.create_connection(wire.address(b.uri)[1]) as s:
        try:
            with context.wrap_socket(s, server_hostname="127.0.0.1") as t:
                t.sendall(Message(wire.HELLO, wire.hello_body()).bytes())
                equal(t.recv(1), b"", "answer")
        except (ssl.SSLError, ConnectionError) as e:
            check("certificate required" in str(e) or
                  isinstance(e, ConnectionError), str(e))
    b.said("the source has sent no certificate")


def test_no_tls(world, side):
    """One side speaks TLS, the other does not: each says so."""
    good = Pki(world, "pki").both()
    uri = tls_uri(world)
    plain = uri.replace("tls:", "tcp:")
    a = world.run(BUSY, env=good.env).ready()
    b = world.receive(uri=uri if side == "source" else plain, env=good.env)
    a.start_migration(plain if side == "source" else uri)
    m = a.wait_migration("failed")
    check("does not speak TLS" in m["error-desc"], m["error-desc"])
    b.said("the source does not speak TLS" if side == "source"
           else "the peer speaks TLS, this listener does not")
    a.wait_state("running")
    # The right way is still open
    a.start_migration(b.uri)
    a.wait_migration("completed")


test_no_tls.cases = {"side": ("source", "destination")}


def test_third_party(world):
    """A certificate of the same CA is not enough to join a session that is
    under way: the HELLO must be made for its own TLS connection, with the
    session's secret."""
    good = Pki(world, "pki").both()
    third = Pki(world, "third", good).issue("client", "third")
    a, b = start(world, good, good, WAITS)
    context = ssl.create_default_context(cafile=good.path("ca-cert.pem"))
    context.load_cert_chain(third.path("client-cert.pem"),
                            third.path("client-key.pem"))
    slowly(a, b)
    with socket.create_connection(wire.address(b.uri)[1]) as s, \
            context.wrap_socket(s, server_hostname="127.0.0.1") as t:
        t.sendall(Message(wire.HELLO, wire.hello_body(wire.PUSH)).bytes())
        answer = t.recv(1000)
        check(b"made for another connection" in answer, answer)
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    a.wait_migration("completed")
    b.wait_migration("completed")
    goes_on(b)


def test_required(world):
    """Nothing but tls: and unix: where TLS is required, on both sides."""
    a = world.run(BUSY).ready()
    a.qmp.execute("migrate-set-parameters", **{"ferry-require-tls": True})
    a.start_migration("tcp:127.0.0.1:1")
    m = a.wait_migration("failed")
    check("use tls:127.0.0.1:1" in m["error-desc"], m["error-desc"])
    b = world.receive()
    a.migrate(b)


def test_warning(world):
    """A listener that other hosts can reach says so, once, with the remedy."""
    uri = world.uri("tcp").replace("127.0.0.1", "")
    b = world.receive(uri=uri)
    b.said("other hosts can reach")
    equal(b.err.text().count("use tls:HOST:PORT"), 1, "warnings")
    world.receive(name="c", uri=world.uri("tcp"))
    check("other hosts" not in world.machines[-1].err.text(), "a warning")
