# SPDX-License-Identifier: MIT
"""Plots of scripts/bench --peer, by gnuplot, as SVG"""

import math
import os
import re
import shutil
import subprocess

from matrix import mib_of

HEAD = """set terminal svg size 900,500 dynamic font 'sans,14' background 'white'
set output '{path}'
set title '{title}'
set key outside below
set grid
set format y '%g'
set style fill solid 0.8 noborder
"""
SPEED_MS = 50           # shown before the hand-over
BIN_MS = 5              # of the guest's speed
SPEED_MIN = .01         # %, the lowest shown
SCALES = (("total_ms", "total time, ms"), ("lost_ms", "guest time lost, ms"),
          ("blackout_ms", "blackout, ms"))


class Plots:
    """Writes plots to a folder"""

    def __init__(self, folder):
        self.folder = folder
        self.paths = []
        os.makedirs(folder, exist_ok=True)

    def plot(self, name, title, settings, blocks, elements):
        """One plot: blocks of rows, $d0, $d1, …, and what is drawn of them"""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
        path = os.path.join(self.folder, slug + ".svg")
        data = [f"$d{i} << EOD\n" + "".join(
            " ".join(map(str, row)) + "\n" for row in rows) + "EOD\n"
            for i, rows in enumerate(blocks)]
        done = subprocess.run(
            ["gnuplot"], input=HEAD.format(path=path, title=title)
            + "".join(data) + settings + "\nplot " + ", ".join(elements),
            text=True, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise OSError(f"gnuplot: {done.stderr.strip()}")
        self.paths.append(path)

    def lines(self, name, title, settings, series, style):
        """One line for each of the series (label, rows)"""
        self.plot(name, title, settings, [rows for _, rows in series],
                  [f"$d{i} using 1:2 with {style} title '{label}'"
                   for i, (label, _) in enumerate(series)])

    def speed(self, cell):
        """Speed of the guest around the hand-over"""
        series, last = [], 0
        for peer, found in cell["peers"].items():
            first, speed = found["curve"]["first_ms"], found["curve"]["percent"]
            rows = [(first + i, max(SPEED_MIN, sum(speed[i:i + BIN_MS]) /
                                    len(speed[i:i + BIN_MS])))
                    for i in range(0, len(speed), BIN_MS)]
            series.append((peer, rows))
            last = max(last, rows[-1][0])
        self.lines(f"speed {cell['name']}", "Guest speed, " + cell["name"],
                   "set xlabel 'ms since the guest was stopped'\n"
                   "set ylabel '% of its speed before'\nset logscale y\n"
                   f"set yrange [{SPEED_MIN}:200]\n"
                   f"set xrange [{-SPEED_MS}:{last}]", series, "lines lw 1.5")

    def stalls(self, cell):
        """Share of the stalls that are longer than x"""
        series = []
        for peer, found in cell["peers"].items():
            left = total = sum(n for _, n in found["stalls"])
            rows = []
            for us, n in found["stalls"]:
                rows.append((us, left / total))
                left -= n
            series.append((peer, rows or [(100, 1e-4)]))
        self.lines(f"stalls {cell['name']}", "Stalls, " + cell["name"],
                   "set logscale xy\nset xlabel 'us'\n"
                   "set ylabel 'share of stalls this long or longer'",
                   series, "steps lw 2")

    def origins(self, cells):
        """Pages by origin"""
        kinds = ("pages_demand", "pages_push", "pages_zero")
        rows = [[f'"{peer}\\n{cell["memory"]} {cell["ram"]}\\n{cell["load"]}"']
                + [found["figures"][k]["median"] for k in kinds]
                for cell in cells for peer, found in cell["peers"].items()]
        self.plot("origins", "Origin of each page",
                  "set style data histograms\nset logscale y\n"
                  "set style histogram clustered\nset ylabel 'pages'\n"
                  "set yrange [1:*]\n"
                  "set xtics rotate by -60 font ',9'", [rows], [
                      f"$d0 using {i}:xtic(1) title '{kind[6:]}'"
                      for i, kind in enumerate(kinds, 2)])

    def scaling(self, cells):
        """Figures by size of the guest, with the exponent"""
        groups = {}
        for cell in cells:
            key = (cell["load"], cell["ram"], cell["cpus"], cell["thp"])
            groups.setdefault(key, []).append(cell)
        for key, group in groups.items():
            if len({c["memory"] for c in group}) < 2:
                continue
            for figure, heading in SCALES:
                self.scale(key, group, figure, heading)

    def scale(self, key, group, figure, heading):
        """One plot of scaling()"""
        series = []
        for peer in group[0]["peers"]:
            rows = sorted((mib_of(c["memory"]), c["peers"][peer]["figures"][figure][
                "median"]) for c in group if peer in c["peers"])
            rows = [(x, y) for x, y in rows if y and y > 0]
            if len(rows) > 1:
                (x0, y0), (x1, y1) = rows[0], rows[-1]
                exponent = math.log(y1 / y0) / math.log(x1 / x0)
                series.append((f"{peer}: exponent {exponent:.2f}", rows))
        if series:
            load, ram, cpus, thp = key
            self.lines(f"scaling {figure} {load} {ram} {cpus} {thp}",
                       f"Scaling, {load}, {ram}, {cpus} vCPUs",
                       f"set logscale xy\nset xlabel 'RAM, MiB'\n"
                       f"set ylabel '{heading}'", series, "linespoints lw 2")


def draw(results, folder):
    """All plots of results. Return: their paths; none without gnuplot"""
    if not shutil.which("gnuplot"):
        return []
    plots = Plots(folder)
    for cell in results["cells"]:
        plots.speed(cell)
        plots.stalls(cell)
    plots.origins(results["cells"])
    plots.scaling(results["cells"])
    return plots.paths
