"""Every mistake at once, each with its place, the value found, what is allowed and the nearest name."""

from __future__ import annotations

import pytest

from stabbench import registry
from stabbench.errors import ConfigurationError
from stabbench.suite.load import load_suite


def test_all_mistakes_come_at_once_in_file_order_whatever_kind_they_are(problems) -> None:
    more = "trian: {}\ntrain: {epochs: 1.5, optimizer: adam}\nprobes: {accuracy: , noize: {}}\ngates: []\n"

    found = problems(more, old="seeds: 6", new="seeds: six")

    assert [(p.line, p.path) for p in found] == [
        (5, "seeds"),
        (9, "trian"),
        (10, "train.epochs"),
        (10, "train.optimizer"),
        (11, "probes.accuracy"),
        (11, "probes.noize"),
        (12, "gates"),
    ]
    assert all(p.file is not None and p.file.endswith("study.yaml") and p.column for p in found)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("seeds: 6", "seedz: 6", (5, 1), "unknown key 'seedz'. Did you mean 'seeds'?"),
        ("{warmup: {fraction: 0.1}}", "{warmpu: {}}", (8, 31), "unknown stabilizer 'warmpu'. Did you mean 'warmup'?"),
        ("fraction: 0.1", "fractoin: 0.1", (8, 40), "unknown option 'fractoin' of 'warmup'. Did you mean 'fraction'?"),
        ("fraction: 0.1", "fraction: 7", (8, 40), "found 7"),
        ("fraction: 0.1", "fraction: [1]", (8, 40), "must be a number; found a list"),
        ("[{warmup: {fraction: 0.1}}]", "[warmup]", (8, 30), "Write {warmup: {}}"),
        ("baseline: {}", "baseline:", (7, 3), "found nothing. Write {} for no options"),
        ("baseline: {}", "baseline: {train: {epochs: 0, lr: 3}}", (7, 22), "expected at least 1; found 0"),
        ("baseline: {}", "baseline: {train: {lr: 3}}", (7, 22), "unknown key 'lr'"),
        ("baseline: {}", "base/line: {}", (7, 3), "base/line"),
        ("train: 16", "train: {pth: a.csv}", (3, 38), "unknown key 'pth'. Did you mean 'path'?"),
        ("train: 16", "train: sixteen", (3, 30), "expected a number of examples of `source`, or {path: FILE"),
        ("train: 16", "train: 0", (3, 1), "train: 0 examples; at least 1 is needed"),
        ("seeds: 6", "seeds: [1, x]", (5, 12), "expected a whole number; found 'x'"),
        ("seeds: 6", "seeds: {init: 2, ordr: 2}", (5, 18), "Did you mean 'order'?"),
        ("seeds: 6", "seeds: [1, 1]", (5, 1), "seed 1 stands 2 times"),
        ("seeds: 6", "seeds: 0", (5, 1), "at least 1 is needed"),
        ("seeds: 6", "seeds: 1000000000000", (5, 1), "at most 1000"),
        ("seeds: 6", "seeds: {init: 100000, order: 100000}", (5, 1), "at most 1000"),
        ("seeds: 6", "seeds: true", (5, 1), "found true"),
        ("name: study", "name: My Study", (2, 1), "found 'My Study'"),
        ("name: study", "name: 3", (2, 1), "Put it in quotes"),
        ("name: study\n", "", (1, 1), "'name' is missing"),
        ("schema: 1", "schema: 2", (1, 1), "expected 1"),
        ("model: builtin:tiny", "model: builtin:minilm", (4, 1), "Did you mean 'builtin:minilm-l6'?"),
        ("source: builtin:tiny", "source: builtin:rotten-tomato", (3, 8), "Did you mean 'builtin:rotten-tomatoes'?"),
        ("source: builtin:tiny", "source: imdb", (3, 8), "expected hub:OWNER/NAME or one of builtin:"),
    ],
)
def test_a_mistake_is_placed_and_says_what_is_allowed(problems, old, new, place, said) -> None:
    found = problems(old=old, new=new)

    assert any((p.line, p.column) == place and said in p.message for p in found), [str(p) for p in found]


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ("train: {learning_rate: '2e-5'}", (9, 9), "expected a number; found '2e-5'. Write it without quotes"),
        ("train: {learning_rate: .inf}", (9, 9), "expected a finite number"),
        ("train: {batch_size: true}", (9, 9), "expected a whole number; found true"),
        ("train: {early_stopping: {patince: 3}}", (9, 26), "unknown key 'patince'. Did you mean 'patience'?"),
        ("train: {early_stopping: 3}", (9, 9), "expected a mapping"),
        ("train: {plateau: {watch: test}}", (9, 19), "'training' or 'validation'"),
        ("train: {accumulation: 0}", (9, 9), "at least 1"),
        ("train: {optimizer: adamwr}", (9, 9), "'lion' or 'schedule_free'. Did you mean 'adamw'?"),
        ("probes: {accuracy: {bins: 15.0}}", (9, 21), "must be a whole number; found 15.0"),
        ("probes: {noise: {kinds: [keybord]}}", (9, 26), "Did you mean 'keyboard'?"),
        ("probes: {noise: {examples: 0.5}}", (9, 18), "must be a whole number; found 0.5"),
        ("monitors: {trase: {}}", (9, 12), "Did you mean 'trace'?"),
        ("compressions: [int8-dynamc]", (9, 16), "Did you mean 'int8-dynamic'?"),
        ("compressions: [[]]", (9, 16), "an empty chain"),
        ("compressions: [ort-int8, ort-int8]", (9, 1), "'ort-int8' stands 2 times"),
        ("compress_probes: [noise]", (9, 19), "unknown probe of this suite 'noise'"),
        ("compare: {reference: basline}", (9, 11), "Did you mean 'baseline'?"),
        ("compare: {primary: [acuracy]}", (9, 21), "Did you mean 'accuracy'?"),
        ("compare: {primary: [noise.mce]}", (9, 21), "unknown metric of this suite's probes 'noise.mce'"),
        ("compare: {primary: [a, b, c, d]}", (9, 11), "at most 3 entries"),
        ("compare: {primary: [{metric: accuracy, candidate: stabilised}]}", (9, 40), "Did you mean 'stabilized'?"),
        ("compare: {primary: [{metric: accuracy, candidate: baseline}]}", (9, 40), "the reference with itself"),
        ("compare: {primary: [{metric: accuracy, compression: int8}]}", (9, 40), "unknown compression"),
        ("compare: {primary: [{metric: accuracy, at: {a: [1]}}]}", (9, 45), "found a list"),
        ("compare: {margins: {accuracy: -0.1}}", (9, 21), "at least 0"),
        ("compare: {margins: {acuracy: 0.1}}", (9, 21), "Did you mean 'accuracy'?"),
        ("probes: {accuracy: }", (9, 10), "Write {} for no options"),
    ],
)
def test_a_mistake_further_down_is_placed_too(problems, more, place, said) -> None:
    found = problems(more)

    assert any((p.line, p.column) == place and said in p.message for p in found), [str(p) for p in found]
    assert len(found) == len({str(p) for p in found})


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("latency.p50", "has several values; say which"),
        ("{metric: latency.p50, at: {batch: 1}}", "has several values; say which"),
        ("{metric: latency.p50, at: {batch: 3, length: 16}}", "unknown batch '3'. Allowed: 1, 8."),
        ("{metric: latency.p50, at: {bach: 1}}", "Did you mean 'batch'?"),
        ("{metric: latency.p50, at: {scenario: serve}}", "unknown scenario of this suite 'serve'"),
        ("{metric: latency.p50, at: {scenario: cold}}", "Allowed: mixed, server, single."),
        ("{metric: noise.accuracy, at: {kind: keyboard}}", "has several values; say which"),
    ],
)
def test_a_claim_must_say_which_of_several_values_before_anything_runs(problems, claim, said) -> None:
    scenarios = "scenarios: [single, mixed, server]"
    probes = f"probes: {{noise: {{}}, latency: {{batch: [1, 8], length: [16], {scenarios}}}}}\n"

    found = problems(probes + f"compare: {{primary: [{claim}]}}\n")

    assert any(said in p.message and p.line == 10 for p in found), [str(p) for p in found]


@pytest.mark.parametrize(
    "claim",
    [
        "noise.accuracy",
        "{metric: latency.p50, at: {batch: 8, length: 16}}",
        "{metric: latency.ratio, at: {scenario: server, load: 0.8}}",
    ],
)
def test_a_claim_that_names_its_value_or_has_one_over_all_is_accepted(write, base, claim) -> None:
    scenarios = "scenarios: [single, mixed, server]"
    probes = f"probes: {{noise: {{}}, latency: {{batch: [1, 8], length: [16], {scenarios}}}}}\n"

    assert load_suite(str(write(base + probes + f"compare: {{primary: [{claim}]}}\n")))


def test_the_same_stabilizer_twice_is_a_mistake(problems) -> None:
    (found,) = problems(old="[{warmup: {fraction: 0.1}}]", new="[{warmup: {}}, {warmup: {}}]")

    assert (found.path, "'warmup' stands 2 times" in found.message) == ("variants.stabilized.stabilizers", True)


def test_two_owners_of_one_exclusive_hook_are_a_mistake(problems) -> None:
    owners = [n for n in registry.names("stabilizers") if registry.card("stabilizers", n).traits["exclusive"]]
    shared = [
        (a, b)
        for a in owners
        for b in owners
        if a < b
        and set(registry.card("stabilizers", a).traits["exclusive"])
        & set(registry.card("stabilizers", b).traits["exclusive"])
    ]
    if not shared:
        pytest.skip("no two stabilizers own the same exclusive hook yet")
    first, second = shared[0]

    found = problems(old="[{warmup: {fraction: 0.1}}]", new=f"[{{{first}: {{}}}}, {{{second}: {{}}}}]")

    assert any("both own" in p.message for p in found)


@pytest.mark.parametrize(
    ("first", "second", "owned"),
    [
        ("clip_grad_norm", "zclip", "the clipping of gradients"),
        ("agc", "auto_clip", "the clipping of gradients"),
        ("ema", "swa", "the final weights"),
        ("freeze", "lora", "the choice of trained weights"),
        ("reinit_layers", "adalora", "the pretrained weights"),
        ("l2_sp", "reinit_layers", "the pretrained weights"),
    ],
)
def test_two_owners_of_one_thing_are_a_mistake_that_names_it(problems, first, second, owned) -> None:
    found = problems(old="[{warmup: {fraction: 0.1}}]", new=f"[{{{first}: {{}}}}, {{{second}: {{}}}}]")

    assert [p.message for p in found] == [
        f"{first} and {second} both own '{owned}', which only one stabilizer can; keep one"
    ]


def test_a_stabilizer_whose_package_is_missing_is_a_mistake_that_says_how_to_install_it(problems, monkeypatch) -> None:
    monkeypatch.setattr("stabbench.suite.checks.find_spec", lambda name: None)

    (found,) = problems(old="[{warmup: {fraction: 0.1}}]", new="[{lora: {}}]")

    assert found.path == "variants.stabilized.stabilizers[0].lora"
    assert found.message == "'lora' needs the package 'peft': pip install stabbench[peft]"


def test_noise_that_augmentation_does_not_know_is_a_mistake_placed_at_its_name(problems) -> None:
    (found,) = problems(old="[{warmup: {fraction: 0.1}}]", new="[{augment: {kinds: [word_drop, keybord]}}]")

    assert "kinds" in found.path
    assert "Did you mean 'keyboard'?" in found.message


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trian.epochs=5", "unknown key 'trian'. Did you mean 'train'?"),
        ("train.epoch=5", "unknown key 'epoch'. Did you mean 'epochs'?"),
        ("variants.stabilised.train.epochs=5", "Did you mean 'stabilized'?"),
        ("probes.noise.examples=5", "adds no names"),
        ("data.train.limit=3", "data.train is a single value"),
        ("variants.stabilized.stabilizers.ema.decay=0.9", "unknown entry 'ema'"),
        ("seeds", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("seeds=[1", "not plain YAML"),
        ("seeds=0", "at least 1 is needed"),
    ],
)
def test_a_wrong_set_is_placed_at_the_command_line(problems, setting, said) -> None:
    found = problems("", setting)

    assert any(said in p.message and p.file == f"--set {setting}" for p in found), [str(p) for p in found]


def test_mistakes_of_an_extended_file_are_placed_in_that_file(write, base) -> None:
    write(base + "train: {epoch: 3}\n", "base.yaml")
    path = write("extends: base.yaml\nname: Child\n")

    with pytest.raises(ConfigurationError) as caught:
        load_suite(str(path))

    places = {(p.file.rsplit("/", 1)[-1], p.line) for p in caught.value.problems if p.file}
    assert places == {("base.yaml", 9), ("study.yaml", 2)}


@pytest.mark.parametrize("extended", ["nowhere.yaml", "study.yaml"])
def test_extending_nothing_or_oneself_is_a_mistake(problems, extended) -> None:
    (found,) = problems(f"extends: {extended}\n")

    assert found.path == "extends"
