# SPDX-License-Identifier: MIT
"""The metrics of `ferry web`, of real migrations, and what uses them."""

import json
import os
import re
import subprocess
import urllib.request

from crossing import finish, in_postcopy
from errors import WAIT, soon
from ferry import BUILD, MIB, PAGE, ROOT, Skip, check, equal, page
from metrics_text import promtool, sample

MONITORING = os.path.join(ROOT, "docs", "monitoring")
TEXT, OPEN = "text/plain", "application/openmetrics-text"


class Web:
    """A `ferry web`."""

    def __init__(self, world):
        p = subprocess.Popen(
            [os.path.join(BUILD, "ferry"), "web", "--listen",
             f"127.0.0.1:{world.port()}"], env=world.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        world.closers.append(lambda: (p.kill(), p.communicate()))
        self.address = p.stdout.readline().decode().split("#")[0].strip()

    def metrics(self, accept=TEXT):
        """Return: the Content-Type and the text."""
        r = urllib.request.Request(self.address + "metrics",
                                   headers={"Accept": accept})
        with urllib.request.urlopen(r, timeout=WAIT) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    def value(self, name, **labels):
        """The value of a sample, or None."""
        return sample(self.metrics()[1], name, **labels)

    def wait(self, wanted, name, **labels):
        soon(lambda: self.value(name, **labels), wanted, f"{name} {labels}")


def names(text):
    """Names of all samples of a text."""
    return set(re.findall(r"^(\w+)\{", text, re.M))


def used(query):
    """Names of metrics that a query uses."""
    return set(re.findall(r"\bferry_\w+", query))


def moved(world):
    """A guest that moved with poison, each side followed by ferry web.

    It waits until the page is poisoned, which it could request before. In the
    end nothing changes any more.
    """
    web = Web(world)
    a, b, relay = in_postcopy(world, "work=walk order=random mib=32 hold=1")
    a.poison(page(4000))
    b.send("go")
    b.working(200)
    finish(a, b, relay)
    b.sweep()
    web.wait(1, "ferry_memory_failures_total", machine="b", origin="access",
             action="inject")
    for m in a, b:
        web.wait(1, "ferry_migration_state", machine=m.name,
                 state="completed")
    return web, a, b


def test_figures(world):
    """The metrics have the values that QMP reports."""
    web, a, b = moved(world)
    for m, side in (a, "source"), (b, "destination"):
        now, status = m.migration(), m.status()
        f = now["ferry"]
        here = {"machine": m.name, "side": side}
        d = f["demand-latency-us"]
        equal(sum(x["count"] for x in d["buckets"]), d["count"], "buckets")
        check(d["count"] >= 50 and d["sum"] >= d["count"] * 1, d)
        check(d["p50"] * d["count"] / 4 < d["sum"] < d["max"] * d["count"], d)
        for name, value in (
                ("demand_latency_seconds_count", d["count"]),
                ("recoveries_total", 0),
                ("requests_total", now["ram"]["postcopy-requests"]),
                ("duration_seconds", f["total-ms"] / 1000)):
            got = web.value("ferry_migration_" + name, **here)
            check(abs(got - value) < 1e-9 * value + 1e-9, name, got, value)
        bytes_ = f["bytes-by-kind"]
        equal(sum(bytes_.values()), f["bytes"], "bytes")
        check(bytes_["demand"] > f["pages"]["demand"] * PAGE // 2 and
              bytes_["push"] > MIB, bytes_)
        equal(web.value("ferry_migration_bytes_total", kind="push", direction=
                        "sent" if m == a else "received", **here),
              bytes_["push"], "bytes pushed")
        way = "sent" if m == a else "received"
        carried = {c["name"]: c for c in f["connections"]}
        check({"main", "demand", "push-0"} <= set(carried), carried)
        check(carried["push-0"][way] > MIB // 2, carried)
        equal(web.value("ferry_migration_connection_bytes_total",
                        connection="push-0", direction=way, **here),
              carried["push-0"][way], "bytes of a connection")
        equal(web.value("ferry_migration_pages", state="missing", **here), 0,
              "missing pages")
        equal(web.value("ferry_machine_memory_bytes", machine=m.name),
              status["memory"], "RAM")
        equal(web.value("ferry_machine_poisoned_bytes", machine=m.name), PAGE,
              "poisoned")
        equal(web.value("ferry_memory_failures_total", machine=m.name, origin=
                        "command" if m == a else "peer", action="ignore"), 1,
              "memory failures")
    check(web.value("ferry_migration_downtime_seconds", machine="a") > 0,
          "downtime")


def test_recovery(world):
    """A link that is lost, and replaced."""
    web = Web(world)
    a, b, relay = in_postcopy(world, "work=verify mib=16")
    relay.cut()
    for m in a, b:
        web.wait(1, "ferry_migration_state", machine=m.name,
                 state="postcopy-paused")
        equal(web.value("ferry_migration_recoveries_total", machine=m.name),
              0, "recoveries")
        check(web.value("ferry_migration_pages", machine=m.name,
                        state="missing") > 0, "nothing is missing")
        check(web.value("ferry_migration_stage_duration_seconds",
                        machine=m.name, stage="pages") > 0, "stage pages")
    for m in a, b:
        m.recover_automatically(True)
    for m in a, b:
        m.wait_migration("completed", recovers=True)
        web.wait(1, "ferry_migration_recoveries_total", machine=m.name)


def test_promtool(world):
    """promtool accepts what a real run gives, and the example alerts; all
    metrics that those and the dashboard use exist."""
    web, _, _ = moved(world)
    kind, text = web.metrics()
    check(kind.startswith("text/plain; version=0.0.4"), kind)
    have = names(text)
    with open(os.path.join(MONITORING, "grafana.json"), encoding="utf-8") as f:
        board = json.load(f)
    queries = [t["expr"] for p in board["panels"] for t in p["targets"]]
    queries += [v["query"]["query"] for v in board["templating"]["list"]
                if v["type"] == "query"]
    with open(os.path.join(MONITORING, "alerts.yml"), encoding="utf-8") as f:
        queries.append(f.read())
    check(len(queries) > 10, "queries")
    for q in queries:
        check(used(q) and used(q) <= have, q, used(q) - have)
    promtool("check", "metrics", text=text)
    promtool("check", "rules", os.path.join(MONITORING, "alerts.yml"))


def test_openmetrics(world):
    """A parser of OpenMetrics accepts the same run in that format."""
    try:
        from prometheus_client.openmetrics import parser
    except ImportError as e:
        raise Skip("no prometheus_client: scripts/install-deps metrics") from e
    web, _, _ = moved(world)
    kind, text = web.metrics(OPEN)
    check(kind.startswith("application/openmetrics-text; version=1.0.0"), kind)
    equal(web.metrics("*/*"), (kind, text), "without a preference")
    families = list(parser.text_string_to_metric_families(text))
    check(len(families) > 12, families)
    for family in families:
        check(family.documentation and family.samples, family)
    equal({s.name for x in families for s in x.samples},
          names(web.metrics()[1]), "names in both formats")


def test_alerts(world):
    """Each alert fires when it should, and not before."""
    latency = ('ferry_migration_demand_latency_seconds_bucket'
               '{machine="x",side="destination",le="%s"}')
    series = {
        'ferry_machine_poisoned_bytes{machine="x"}': "0 0 4096x40",
        'ferry_migration_state{machine="x",state="postcopy-paused"}':
            "0 0 1x40",
        # Slow faults, a tenth of all, come later than fast ones
        latency % 0.001048576: "0+90x40",
        latency % 0.033554432: "0+90x10 1000+100x30",
        latency % "+Inf": "0+90x10 1000+100x30"}
    expected = {"FerryPoisonFound": {0: 0, 10: 0, 30: 1},
                "FerryPostcopyPaused": {10: 0, 60: 0, 70: 0, 90: 1},
                "FerryDemandLatency": {90: 0, 300: 1}}
    path = world.path("rules.yml")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({
            "rule_files": [os.path.join(MONITORING, "alerts.yml")],
            "evaluation_interval": "10s",
            "tests": [{
                "interval": "10s",
                "input_series": [{"series": k, "values": v}
                                 for k, v in series.items()],
                "promql_expr_test": [{
                    "expr": f'count(ALERTS{{alertname="{name}",'
                            'alertstate="firing"})',
                    "eval_time": f"{at}s",
                    "exp_samples": [{"labels": "{}", "value": n}] if n else []
                } for name, times in expected.items()
                    for at, n in times.items()]}]}, f)
    promtool("test", "rules", path)
