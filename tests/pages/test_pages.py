"""The pages that the programs write, in a real browser: what can be clicked works, nothing leaves the page, no error.

    python3 tests/pages/test_pages.py --bin build/test/bin --work FOLDER [--pictures FOLDER]

--pictures keeps screenshots of every page at three widths, light and dark. Without a Chromium: SKIPPED, and why.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import browser  # noqa: E402

WIDTHS = (375, 768, 1280)
options = None


def run(program, *arguments):
    command = [str(options.bin / program), *map(str, arguments), "--threads", "2", "--quiet"]
    done = subprocess.run(command, cwd=options.work, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


class Page(unittest.TestCase):
    """A page that a program wrote, open in a browser. `path` is relative to the work folder."""

    path = None

    @classmethod
    def setUpClass(cls):
        if cls is Page:
            raise unittest.SkipTest("only its kinds are tested")
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.browser.view(1280)
        self.open()

    def open(self):
        self.browser.open(options.work / self.path)
        self.ready()
        self.browser.frame()

    def ready(self):
        pass

    def tearDown(self):
        self.assertEqual(self.browser.errors, [])
        self.assertEqual(self.browser.outside(), [])

    def test_fits_every_width_light_and_dark(self):
        for width in WIDTHS:
            papers = []
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    self.browser.view(width, dark=dark, touch=width == WIDTHS[0])
                    self.open()
                    self.assertFalse(self.browser.overflows())
                    papers.append(self.browser.js("getComputedStyle(document.body).backgroundColor"))
                    self.assertEqual(self.browser.js("[...document.images].filter(i => !i.naturalWidth).length"), 0)
                    if options.pictures:
                        name = f"{type(self).__name__.lower()}_{width}_{'dark' if dark else 'light'}.png"
                        self.browser.picture(options.pictures / name)
            self.assertEqual(len(set(papers)), 2, papers)  # dark paper is another

    def test_asks_for_nothing_outside(self):
        """Beside what tearDown sees: no address in the page that a visitor's action could load."""
        addresses = self.browser.js("""[...document.querySelectorAll('[src],[href],[srcset],[data],[action]')]
            .map(e => e.getAttribute('src') || e.getAttribute('href') || e.getAttribute('srcset') ||
                      e.getAttribute('data') || e.getAttribute('action') || '')""")
        self.assertEqual([a[:80] for a in addresses if a and not a.startswith(("data:", "#"))], [])


class Report(Page):
    path = "run/report.html"

    def test_shows_what_the_teacher_learned(self):
        titles = self.browser.js("[...document.querySelectorAll('h2,h3')].map(e => e.textContent)")
        for title in ("Sample crops", "Attention of the last block", "Nearest neighbours",
                      "Embedding of the features"):
            self.assertTrue(any(title in t for t in titles), (title, titles))


class Neighbours(Page):
    path = "neighbours.html"

    def shown(self):
        return self.browser.js("""[...document.querySelectorAll('article')].filter(a => !a.hidden)
            .map(a => [a.dataset.verdict, a.dataset.label, Number(a.dataset.confidence)])""")

    def choose(self, selector, value):
        self.browser.js(f"""(() => {{ const e = document.querySelector('{selector}'); e.value = '{value}';
            e.dispatchEvent(new Event('change', {{bubbles: true}})); }})()""")

    def test_filters_right_and_wrong(self):
        every = self.shown()
        self.assertEqual(len(every), 40)
        self.assertEqual({v for v, _, _ in every}, {"right", "wrong"})
        for verdict in ("right", "wrong"):
            self.browser.click(f"button[value={verdict}]")
            shown = self.shown()
            self.assertEqual(shown, [q for q in every if q[0] == verdict])
            self.assertEqual(self.browser.js(f"document.querySelector('button[value={verdict}]').ariaPressed"), "true")
            self.assertEqual(self.browser.js("document.querySelector('output').textContent"),
                             f"{len(shown)} of 40 shown")
        self.browser.click("button[value=all]")
        self.assertEqual(self.shown(), every)

    def test_shows_one_class(self):
        every = self.shown()
        label = every[0][1]
        self.choose("#class", label)
        self.assertEqual(self.shown(), [q for q in every if q[1] == label])

    def test_sorts_by_confidence(self):
        every = self.shown()
        self.choose("#order", "least")
        self.assertEqual([q[2] for q in self.shown()], sorted(q[2] for q in every))
        self.choose("#order", "most")
        self.assertEqual([q[2] for q in self.shown()], sorted((q[2] for q in every), reverse=True))
        self.choose("#order", "drawn")
        self.assertEqual(self.shown(), every)


class Embedding(Page):
    path = "embedding/synthetic-embeddings.html"

    def ready(self):
        self.browser.wait("window.dinoEmbed && dinoEmbed.drawMs > 0")

    def state(self, what):
        return self.browser.js("dinoEmbed." + what)

    def on_screen(self, point):
        """Where a point of the plane lies in the window."""
        return self.browser.js(f"""(() => {{ const b = document.querySelector('#plot').getBoundingClientRect();
            const p = dinoEmbed.screen({point}); return [p.x + b.x, p.y + b.y]; }})()""")

    def middle(self):
        return self.browser.centre("#plot")

    def lonely(self):
        """A point that is picked at its own place, and its name."""
        return self.browser.js("""(() => { const d = JSON.parse(document.querySelector('#data').textContent);
            for (let i = 0; i < d.x.length; ++i) { const p = dinoEmbed.screen(i);
              if (dinoEmbed.pick(p.x, p.y, 3) === i) return [i, d.names[i], d.classes[d.labels[i]]]; } })()""")

    def test_hover_shows_thumbnail_and_name(self):
        i, name, label = self.lonely()
        self.browser.move(*self.on_screen(i))
        self.browser.wait(f"dinoEmbed.hovered === {i}")
        tip = "document.querySelector('#tip')"
        self.assertEqual(self.browser.js(f"getComputedStyle({tip}).visibility"), "visible")
        texts = self.browser.js("['#tip-class', '#tip-name'].map(e => document.querySelector(e).textContent)")
        self.assertEqual(texts, [label, name])
        self.browser.wait(f"""(() => {{ const c = {tip}.querySelector('canvas');
            return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 8; }})()""")
        self.browser.move(2, 2)
        self.browser.wait("dinoEmbed.hovered === -1")
        self.assertEqual(self.browser.js(f"getComputedStyle({tip}).visibility"), "hidden")

    def test_legend_toggles_classes(self):
        every = self.state("visible")
        self.assertEqual(len(every), 10)
        i, _, label = self.lonely()
        place = self.on_screen(i)
        button = f"#legend button:nth-of-type({every.index(label) + 1})"
        self.browser.click(button)
        self.assertEqual(self.state("visible"), [c for c in every if c != label])
        self.assertEqual(self.browser.js(f"document.querySelector('{button}').ariaPressed"), "false")
        self.browser.move(*place)
        self.browser.frame()
        self.assertNotEqual(self.state("hovered"), i)  # what is not shown is not found
        self.browser.click(button)
        self.assertEqual(self.state("visible"), every)
        self.browser.click(button, count=2)
        self.assertEqual(self.state("visible"), [label])
        self.browser.click("#all")
        self.assertEqual(self.state("visible"), every)

    def test_wheel_zooms_at_the_pointer(self):
        i, _, _ = self.lonely()
        x, y = self.on_screen(i)
        for turn, larger in ((-240, True), (240, False)):
            before = self.state("view")["zoom"]
            self.browser.move(x, y)
            self.browser.wheel(x, y, turn)
            self.browser.wait(f"dinoEmbed.view.zoom !== {before}")
            self.browser.frame()
            self.assertEqual(self.state("view")["zoom"] > before, larger)
            for now, then in zip(self.on_screen(i), (x, y)):
                self.assertAlmostEqual(now, then, delta=0.6)

    def test_drag_pans(self):
        before = self.state("view")
        x, y = self.middle()
        self.browser.drag(x, y, 60, -40)
        self.browser.frame()
        after = self.state("view")
        self.assertAlmostEqual(after["left"] - before["left"], 60, delta=1)
        self.assertAlmostEqual(after["top"] - before["top"], -40, delta=1)
        self.assertAlmostEqual(after["scale"], before["scale"])

    def test_fingers_pan_pinch_and_tap(self):
        self.browser.view(WIDTHS[0], touch=True)
        self.open()
        before = self.state("view")
        x, y = self.middle()
        self.browser.touch("touchStart", (x, y))
        self.browser.touch("touchMove", (x + 30, y + 10))
        self.browser.touch("touchMove", (x + 50, y + 20))
        self.browser.touch("touchEnd")
        self.browser.frame()
        self.assertAlmostEqual(self.state("view")["left"] - before["left"], 50, delta=2)
        self.browser.touch("touchStart", (x - 20, y), (x + 20, y))
        self.browser.touch("touchMove", (x - 60, y), (x + 60, y))
        self.browser.touch("touchEnd")
        self.browser.frame()
        self.assertAlmostEqual(self.state("view")["zoom"], 3, delta=0.3)
        self.browser.js("dinoEmbed.reset()")
        self.browser.frame()
        i, _, _ = self.lonely()
        self.browser.touch("touchStart", self.on_screen(i))
        self.browser.touch("touchEnd")
        self.browser.wait(f"dinoEmbed.hovered === {i}")

    def test_keys_and_buttons_move_the_view(self):
        self.browser.click("#plot")
        start = self.state("view")
        self.browser.key("+")
        self.assertGreater(self.state("view")["zoom"], start["zoom"])
        self.browser.key("ArrowRight")
        self.browser.key("0")
        self.assertEqual(self.state("view"), start)
        self.browser.click("#in")
        self.assertGreater(self.state("view")["zoom"], start["zoom"])
        self.browser.click("#reset")
        self.assertEqual(self.state("view"), start)

    def test_search_finds_names_and_goes_through_them(self):
        i, name, _ = self.lonely()
        self.browser.click("#search")
        for letter in name:
            self.browser.key(letter)
        names = self.browser.js("JSON.parse(document.querySelector('#data').textContent).names")
        self.assertEqual(self.state("found"), sum(name in other for other in names))
        self.browser.key("Enter")
        self.browser.frame()
        self.assertIn(name, names[self.state("hovered")])
        self.browser.key("Escape")
        self.assertEqual(self.state("found"), 0)

    def test_points_are_painted_in_the_colours_of_their_classes(self):
        for _ in range(4):
            self.browser.click("#in")
        self.browser.frame()
        right = self.browser.js("""(() => {
            const d = JSON.parse(document.querySelector('#data').textContent), plot = document.querySelector('#plot');
            const copy = document.createElement('canvas');
            copy.width = plot.width; copy.height = plot.height;
            const pen = copy.getContext('2d', {willReadFrequently: true});
            pen.drawImage(plot, 0, 0);
            const inks = d.colors.map(c => [1, 3, 5].map(at => parseInt(c.slice(at, at + 2), 16)));
            const answers = [];
            for (let i = 0; i < d.x.length && answers.length < 40; ++i) {
              const p = dinoEmbed.screen(i), k = plot.width / plot.clientWidth;
              if (p.x < 0 || p.y < 0 || p.x >= plot.clientWidth || p.y >= plot.clientHeight) continue;
              const near = d.x.filter((_, j) => j !== i && Math.hypot(dinoEmbed.screen(j).x - p.x,
                                                                      dinoEmbed.screen(j).y - p.y) < 14);
              if (near.length) continue;  // another disc may cover it
              const [r, g, b] = pen.getImageData(Math.floor(p.x * k), Math.floor(p.y * k), 1, 1).data;
              const far = inks.map(ink => Math.hypot(ink[0] - r, ink[1] - g, ink[2] - b));
              answers.push(far.indexOf(Math.min(...far)) === d.labels[i]);
            }
            return answers; })()""")
        self.assertGreater(len(right), 5)
        self.assertTrue(all(right), right)


def make_pages():
    small = ["--data", "synthetic"]
    run("dino_pretrain", *small, "--limit-train", 640, "--embed-dim", 24, "--depth", 2, "--num-heads", 2,
        "--hidden-dim", 32, "--bottleneck-dim", 16, "--k-dim", 32, "--batch-size", 32, "--epochs", 2,
        "--eval-knn-every", 1, "--out", "run")
    run("dino_knn", "--baseline", "pixels", *small, "--eval-bank", 500, "--eval-queries", 100, "--k", 20, "--show-html",
        "neighbours.html", "--show-queries", 40)
    run("dino_embed", *small, "--weights", "run", "--samples", 400, "--iterations", 500, "--out", "embedding")


def folder(text):
    return pathlib.Path(text).resolve()


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=folder, required=True, help="where the programs are")
    parser.add_argument("--work", type=folder, required=True, help="is emptied and used")
    parser.add_argument("--pictures", type=folder, help="keep screenshots here")
    options = parser.parse_args()
    if not browser.find():
        print("SKIPPED: no Chromium found. apt-get install chromium")
        return 0
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    make_pages()
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
