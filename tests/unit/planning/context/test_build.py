"""What a model is shown for a task: the right things, never too much, and nothing that must not leave."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.planning.context import MIN_BUDGET_TOKENS, Context, PartKind, build_context
from devstudio_server.planning.context.build import ContextCaches
from devstudio_server.planning.context.outline import MAX_PARSED_BYTES
from devstudio_server.scm import GitRepository
from support.ai_world import generation_subject
from support.big_repository import Company, repository_of

CANARY = "canary-c0ffee"
SHOP = {
    "shop/cart.py": "from shop.money import Money\n\n\nclass Cart:\n    def add_item(self, price: Money) -> None:\n"
    "        self.items.append(price)\n",
    "shop/money.py": "class Money:\n    def rounded(self) -> int:\n        return round(self.cents)\n",
    "shop/mail.py": "def send_letter(address: str) -> None:\n    print(address)\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\n\ndef test_empty() -> None:\n    assert Cart()\n",
    "tests/test_mail.py": "from shop.mail import send_letter\n\n\ndef test_letter() -> None:\n    send_letter('x')\n",
    "web/basket.ts": "import { total } from './sums';\nexport function cartTotal(a: number[]): number {\n"
    "  return total(a);\n}\n",
    "web/sums.ts": "export const total = (a: number[]): number => a.length;\n",
    "pyproject.toml": "[tool.ruff]\nline-length = 99\n",
    "README.md": "# Shop\n" + "more\n" * 100,
}
DESIGN = """# Design
A shop.
## Overview
Words about nothing.
## The cart
The cart holds items and their price. See `shop/money.py`.
## Letters
Letters are sent by post.
"""


def files(given_files: Mapping[str, str | bytes]) -> Iterable[tuple[str, bytes]]:
    return [(name, text if isinstance(text, bytes) else text.encode()) for name, text in given_files.items()]


Make = Callable[[Mapping[str, str | bytes]], GitRepository]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(given_files: Mapping[str, str | bytes]) -> GitRepository:
        return repository_of(tmp_path / f"{len(list(tmp_path.iterdir()))}.git", files(given_files))

    return made


def subject(**changes: object) -> GenerationSubject:
    fields = {
        "task_title": "Add items to the cart",
        "criteria": (CriterionText("1.1", "WHEN an item is added THE SYSTEM SHALL raise the price of the cart"),),
    }
    return generation_subject(**{**fields, **changes})


def build(repository: GitRepository, about: GenerationSubject | None = None, **options: object) -> Context:
    fields = {"budget_tokens": 8000, "caches": ContextCaches(), **options}
    return build_context(repository, repository.tree("main"), about or subject(), **fields)  # type: ignore[arg-type]


def names(context: Context, kind: PartKind) -> list[str]:
    return [part.name for part in context.of(kind)]


def whole_text(context: Context) -> str:
    told = [f"{part.name} {part.text} {part.why}" for part in context.parts]
    return "\n".join([*told, *(f"{left.name} {left.why}" for left in context.omitted)])


def test_the_files_of_the_task_come_with_what_they_import_and_their_tests(make: Make) -> None:
    context = build(make(SHOP), documents={"design": DESIGN})
    assert names(context, PartKind.FILE)[0] == "shop/cart.py"
    assert {"shop/money.py", "web/basket.ts"} <= set(names(context, PartKind.FILE))
    assert names(context, PartKind.TEST)[0] == "tests/test_cart.py"
    cart = context.of(PartKind.FILE)[0]
    assert cart.text == SHOP["shop/cart.py"]
    assert cart.cut is None
    assert "defines add_item, Cart" in cart.why
    money = next(part for part in context.parts if part.name == "shop/money.py")
    assert "named in the design" in money.why
    assert "tests shop/cart.py, which it imports" in context.of(PartKind.TEST)[0].why


def test_only_sections_that_match_are_shown_and_the_others_told(make: Make) -> None:
    context = build(make(SHOP), documents={"design": DESIGN, "requirements": CANARY})
    assert names(context, PartKind.DESIGN) == ["The cart"]
    assert "Letters" in next(left.why for left in context.omitted if left.kind is PartKind.DESIGN)
    assert CANARY not in whole_text(context)
    named = build(make(SHOP), subject(task_description="As in Letters"), documents={"design": DESIGN})
    assert sorted(names(named, PartKind.DESIGN)) == ["Letters", "The cart"]


def test_the_map_tells_what_is_not_shown_whole(make: Make) -> None:
    context = build(make(SHOP))
    text = context.of(PartKind.SYMBOLS)[0].text
    assert "class Cart" not in text, "it is shown whole"
    assert "  shop/mail.py" in text.splitlines()
    assert names(context, PartKind.CONVENTIONS) == ["pyproject.toml", "README.md"]
    assert len(context.of(PartKind.CONVENTIONS)[1].text.splitlines()) == 40


def test_parts_stand_in_the_order_of_what_changes_least(make: Make) -> None:
    context = build(make(SHOP), instructions="Use integers", rejections=["too slow"], documents={"design": DESIGN})
    kinds = [part.kind for part in context.parts]
    assert kinds == sorted(kinds, key=list(PartKind).index)
    assert set(kinds) == set(PartKind)


def test_a_file_that_is_named_comes_first_and_one_too_long_in_excerpts(make: Make) -> None:
    filler = "".join(f"def other_{number}() -> int:\n    return {number}\n\n\n" for number in range(3000))
    long = f"{filler}def wanted_refund() -> int:\n    return 4711\n\n\n{filler}"
    context = build(
        make({**SHOP, "shop/long.py": long[:200_000]}), subject(task_description="See wanted_refund in shop/long.py")
    )
    first = context.of(PartKind.FILE)[0]
    assert first.name == "shop/long.py"
    assert "def other_0" in first.text
    assert "are not shown" in first.text
    assert first.cut is not None
    assert "excerpt" in first.cut
    assert len(long[:MAX_PARSED_BYTES]) < long.index("wanted_refund"), "what lies beyond is not parsed"
    near = build(
        make({**SHOP, "shop/long.py": long[90_000:150_000]}), subject(task_description="wanted_refund in shop/long.py")
    )
    assert "return 4711" in near.of(PartKind.FILE)[0].text


SOURCES = st.sampled_from(["def cart_{0}(item):\n    return item\n", "# Cart {0}\n", "{0}" * 50, "price\n" * 400, ""])
TREES = st.dictionaries(
    st.from_regex(r"[a-z]{1,4}/(test_)?[a-z]{1,5}\.(py|ts|md|go)", fullmatch=True), SOURCES, max_size=12
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=TREES,
    budget=st.integers(MIN_BUDGET_TOKENS, 6000),
    title=st.text(max_size=300),
    description=st.text(max_size=3000),
    criterion=st.text(max_size=3000),
    instructions=st.text(max_size=2000),
    design=st.text(max_size=2000),
    rejections=st.lists(st.text(max_size=500), max_size=8),
)
def test_never_over_budget_task_and_criteria_always_and_the_same_again(
    make: Make,
    tree: dict[str, str],
    budget: int,
    title: str,
    description: str,
    criterion: str,
    instructions: str,
    design: str,
    rejections: list[str],
) -> None:
    repository = make({name: text.format(name) for name, text in tree.items()})
    about = subject(task_title=title, task_description=description, criteria=(CriterionText("1.1", criterion),))
    caches = ContextCaches()
    options = {
        "budget_tokens": budget, "instructions": instructions, "rejections": rejections, "documents": {"design": design}
    }  # fmt: skip
    context = build(repository, about, caches=caches, **options)
    assert context.tokens <= budget
    assert context.tokens == sum(part.tokens for part in context.parts)
    assert len(context.of(PartKind.TASK)) == len(context.of(PartKind.CRITERIA)) == 1
    assert context.of(PartKind.CRITERIA)[0].text.startswith("1.1")
    assert all(part.why for part in context.parts)
    assert build(repository, about, caches=caches, **options) == context, "warm"
    assert build(repository, about, **options) == context, "cold"


def test_a_context_does_not_depend_on_what_was_asked_before(make: Make) -> None:
    repository = repository_of(Path(make({}).path).parent / "company.git", Company(400).files())
    caches = ContextCaches()
    for word in Company(1).words(6):
        about = subject(task_title=word, criteria=())
        assert build(repository, about, caches=caches) == build(repository, about)


class CountingRepository(GitRepository):
    """Counts what is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read_blobs: list[str] = []

    def blobs(self, blobs: Iterable[str]):
        wanted = list(blobs)
        self.read_blobs += wanted
        return super().blobs(wanted)


def test_after_a_change_only_what_changed_is_read(make: Make) -> None:
    repository = CountingRepository(make(SHOP).path)
    caches = ContextCaches()
    before = build(repository, caches=caches)
    assert len(set(repository.read_blobs)) == len(SHOP)
    repository.read_blobs.clear()
    assert build(repository, caches=caches) == before
    assert repository.read_blobs == []
    changed = repository.change(repository.tree("main"), {"shop/cart.py": b"class Cart:\n    item = 1\n"})
    after = build_context(repository, changed, subject(), budget_tokens=8000, caches=caches)
    assert len(set(repository.read_blobs)) == 1
    assert after.of(PartKind.FILE)[0].text == "class Cart:\n    item = 1\n"
    assert build_context(repository, changed, subject(), budget_tokens=8000, caches=ContextCaches()) == after


def test_threads_that_build_at_once_get_the_same(make: Make) -> None:
    repository, caches = make(SHOP), ContextCaches()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: build(repository, caches=caches), range(24)))
    assert all(context == made[0] for context in made)


LEFT_OUT = {
    "cart.png": (f"cart item {CANARY}", "binary by its name"),
    "cart.dat": (b"\0cart item " + CANARY.encode(), "binary"),
    "web/cart.min.js": (f"cart item {CANARY}", "generated by its name"),
    "web/cart.js": (f"var cart='item {CANARY}';" * 100, "minified"),
    "package-lock.json": (f"cart item {CANARY}", "a lock file"),
    "node_modules/cart/index.js": (f"cart item {CANARY}", "in a vendored or generated folder"),
    "shop/cart_pb.py": (f"# @generated\ncart = 'item {CANARY}'\n", "generated, as it says"),
    "shop/latin.py": (f"cart = 'é item {CANARY}'\n".encode("latin-1"), "not UTF-8"),
    "data/cart.csv": (f"cart,item,{CANARY}\n" * 20_000, "larger than 256 KiB"),
    ".env": (f"CART_ITEM={CANARY}\n", "a file for secrets by its name"),
    "deploy/cart.pem": (f"cart item {CANARY}\n", "a file for secrets by its name"),
    ".devstudio/specs/a/design.md": (f"cart item {CANARY}\n", "a projection of the session's documents"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_no_source_is_left_out_with_the_reason(make: Make, name: str) -> None:
    content, reason = LEFT_OUT[name]
    context = build(make({**SHOP, name: content}), subject(task_description=f"Change {name}"))
    assert CANARY not in whole_text(context)
    assert (reason, 1) in [(left.why, left.count) for left in context.omitted]
    assert name not in [part.name for part in context.parts]


def test_links_and_submodules_are_left_out(make: Make) -> None:
    repository = make(SHOP)
    entry = repository.listing(repository.tree("main"))[0]
    rows = f"120000 blob {entry.blob}\tcart_link.py\n160000 commit {repository.head('main')}\tcart_module\n"
    command = ["git", "-C", str(repository.path), "mktree", "--missing"]
    tree = subprocess.run(command, input=rows.encode(), capture_output=True, check=True).stdout.decode().strip()
    context = build_context(repository, tree, subject(), budget_tokens=2000, caches=ContextCaches())
    assert context.of(PartKind.FILE) == ()
    assert ("a link or a submodule", 2) in [(left.why, left.count) for left in context.omitted]


def test_restricted_files_are_neither_read_nor_named_outside(make: Make) -> None:
    hidden = {".devstudio/restricted": "shop/secret*\n", "shop/secret_cart.py": f"def cart_item():\n    '{CANARY}'\n"}
    repository = CountingRepository(make({**SHOP, **hidden}).path)
    about = subject(task_description="See shop/secret_cart.py")
    tree = repository.tree("main")
    outside = build_context(repository, tree, about, budget_tokens=8000, caches=(caches := ContextCaches()))
    said = whole_text(outside).replace("See shop/secret_cart.py", "")
    assert CANARY not in said
    assert "secret_cart" not in said
    blob = next(entry.blob for entry in repository.listing(tree) if entry.path == "shop/secret_cart.py")
    assert blob not in repository.read_blobs
    inside = build_context(repository, tree, about, budget_tokens=8000, outside=False, caches=caches)
    assert inside.of(PartKind.FILE)[0].name == "shop/secret_cart.py"
    assert build_context(repository, tree, about, budget_tokens=8000, caches=caches) == outside


def test_a_budget_below_the_smallest_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="at least 400 tokens"):
        build(make({}), budget_tokens=MIN_BUDGET_TOKENS - 1)


def test_documents_of_megabytes_are_cut(make: Make) -> None:
    design = "# Design\n" + "".join(f"## Section {number}\nThe cart and item {number}.\n" for number in range(150_000))
    text = "Add an item to the cart. " * 220_000
    context = build(
        make(SHOP), subject(task_description=text), documents={"design": design}, rejections=[text], instructions=text
    )
    assert len(text) > 5_000_000 < len(design)
    assert context.tokens <= 8000
    task = context.of(PartKind.TASK)[0]
    assert task.cut is not None
    assert "there is no more room" in task.cut


BOMBS = {
    "nested.py": "x = " + "[" * 60_000,
    "indent.py": "".join(" " * depth + "if cart:\n" for depth in range(700)),
    "ternary.ts": "cart ? (item) : \n" * 6000,
    "generic.ts": "cart<\n" * 20_000,
    "arrows.ts": "(cart,\n" * 15_000,
    "strings.py": "f'{f\"{\n" * 10_000,
    "classes.py": "".join(" " * depth + f"class Cart{depth}:\n" for depth in range(300)),
    "template.js": "`${cart\n" * 10_000,
    "headings.md": "# cart\n" * 30_000,
    "functions.py": "def cart(): pass\n" * 10_000,
}


def test_texts_made_to_stall_a_parser_are_bounded(make: Make) -> None:
    context = build(make({**SHOP, **{f"cart/{name}": text for name, text in BOMBS.items()}}), budget_tokens=20_000)
    assert context.tokens <= 20_000
    assert "shop/cart.py" in names(context, PartKind.FILE)


def test_strange_names_are_kept_apart(make: Make) -> None:
    deep = "/".join(["cart"] * 200)
    odd = {f"{deep}/item.py": "cart = 1\n", 'a "b"\\c/cart.py': "item = 2\n", "ação/cart_é.py": "cart = 3\n"}
    repository = make({**SHOP, **odd, "cart_\udcff.py": "cart = 4\n"})
    context = build(repository, budget_tokens=20_000)
    shown = names(context, PartKind.FILE)
    assert set(odd) <= set(shown)
    whole_text(context).encode()
    assert ("a name that is not UTF-8", 1) in [(left.why, left.count) for left in context.omitted]


def test_an_empty_repository_leaves_the_task(make: Make) -> None:
    context = build(make({}), budget_tokens=MIN_BUDGET_TOKENS)
    assert {part.kind for part in context.parts} >= {PartKind.TASK, PartKind.CRITERIA}
    assert context.of(PartKind.FILE) == ()


def test_the_same_text_under_two_paths_is_shown_once(make: Make) -> None:
    context = build(make({**SHOP, "copy/cart.py": SHOP["shop/cart.py"]}))
    shown = names(context, PartKind.FILE)
    twice = {"copy/cart.py", "shop/cart.py"}
    assert len(twice & set(shown)) == 1
    (left,) = [left for left in context.omitted if left.name in twice]
    assert left.why == f"the same text as {(twice & set(shown)).pop()}"
    assert left.tokens > 0


def test_what_does_not_fit_is_told_with_its_size(make: Make) -> None:
    body = "".join(f"def cart_item_{line}() -> int:\n    return {line}\n" for line in range(200))
    large = {f"shop/cart_{number}.py": f"# item {number}\n{body}" for number in range(20)}
    context = build(make(large), budget_tokens=3000)
    cut = [part for part in context.parts if part.cut]
    assert cut
    assert all(part.whole > part.tokens for part in cut)
    left = [left for left in context.omitted if left.why.startswith("no room")]
    assert left
    assert all(one.tokens > 1000 for one in left)
    assert all(part.whole == part.tokens for part in context.parts if not part.cut)
