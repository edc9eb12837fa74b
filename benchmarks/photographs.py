"""Stage 2 with its own defaults on real photographs: does the picture count, and what do other rates give?

    pip install --no-deps scikit-image          # ships the photographs (13 MB)
    PYTHONPATH=src python benchmarks/photographs.py [CASE ...]

Run by the target interpreter. Eight photographs, all in the public domain or CC0 (a cat, coffee, an astronaut, a
rocket, bricks, gravel, a retina, the Hubble deep field), are cut into 8 x 8 tiles: a quarter of the tiles is for the
test, training sees pieces of the others, so no pixel is in both. The language model is pretrained on the sentences
alone, without pictures. No case gives a rate of its own, but for the last: one slow rate for all, as it was once.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

NAMES = {
    "chelsea.png": "猫的毛和脸",
    "coffee.png": "一杯咖啡",
    "astronaut.png": "一位宇航员",
    "rocket.jpg": "发射架上的火箭",
    "brick.png": "一面砖墙",
    "gravel.png": "地上的碎石",
    "retina.jpg": "眼底的血管",
    "hubble_deep_field.jpg": "很远的星系",
}
QUESTION = "这张照片的局部是什么？"
GRID, SIDE, EPOCHS = 8, 48, 8
CASES = {
    "defaults": "",
    "--train_llm lora": "--train_llm lora",
    "--train_llm none": "--train_llm none",
    "one rate of 2e-5, frozen": "--train_llm none --lr 2e-5 --bridge_lr 2e-5",
}


def sentence(name: str) -> str:
    return f"照片的局部：{NAMES[name]}。"


def cut(folder: Path) -> dict[str, Path]:
    """Tables and pieces of the photographs: `train` and `test`."""
    from PIL import Image

    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        sys.exit(f"no photographs: `{sys.executable} -m pip install --no-deps scikit-image`")
    photographs = Path(found.submodule_search_locations[0]) / "data"
    rows: dict[str, list[str]] = {"train": [], "test": []}
    chance = random.Random(0)
    for name in NAMES:
        with Image.open(photographs / name) as image:
            whole = image.convert("RGB").resize((GRID * 64, GRID * 64))
        tiles = [(x, y) for x in range(GRID) for y in range(GRID)]
        chance.shuffle(tiles)
        for number, (x, y) in enumerate(tiles):
            part = "test" if number < len(tiles) // 4 else "train"
            piece = whole.crop((x * 64, y * 64, x * 64 + 64, y * 64 + 64)).resize((SIDE, SIDE))
            file = folder / f"{part}-{Path(name).stem}-{number}.png"
            piece.save(file)
            rows[part].append(f"{file},{QUESTION},{sentence(name)}")
    for part, lines in rows.items():
        text = "image_path,question,answer\n" + "\n".join(lines) + "\n"
        (folder / f"{part}.csv").write_text(text, "utf-8")
    return {part: folder / f"{part}.csv" for part in rows}


def pretrain(folder: Path) -> None:
    """A small Mamba that has read the sentences, and seen nothing."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from mambaops.payload import scan
    from mambaops.payload.train import tiny_model

    scan.install("auto", families=["mamba"], say=lambda _line: None)
    texts = [f"{QUESTION}\n{sentence(name)}" for name in NAMES]
    tiny_model.write_tiny_model(str(folder), texts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in texts]
    ids = torch.full((len(rows), max(map(len, rows))), -100)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _step in range(60):
        loss = model(ids.clamp(min=0), labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"the language model's loss on the sentences: {float(loss):.3f} nats per token")
    model.save_pretrained(folder)


def run(folder: Path, tables: dict[str, Path], flags: str) -> str:
    """A row of the table."""
    from mambaops.payload.train import evaluate, trainlog, vlm

    out = folder / f"out{abs(hash(flags))}"
    words = ["--csv", tables["train"], "--val_csv", tables["test"], "--output_dir", out]
    words += ["--mamba_model", folder / "model", "--image_size", SIDE, "--max_visual_tokens", 9]
    words += ["--conv_widths", "16,32,64", "--batch_size", 16, "--epochs", EPOCHS]
    words += ["--num_workers", 0, "--no_tensorboard", "--from_scratch", *flags.split()]
    with contextlib.redirect_stdout(io.StringIO()):
        vlm.main([str(word) for word in words])
        last = str(out / "vision_bridge_vlm_final.pt")
        scores = evaluate.evaluate(last, str(tables["test"]), max_new_tokens=24)
    log = str(out / "stage2_train_log.csv")
    first, end = trainlog.read_log(log)[0], trainlog.read_epochs(log)[-1]
    return (
        f"{first[2]:.2f} | {end['caption_loss']:.2f} | "
        f"{end['own_loss']:.2f} | {end['shuffled_loss']:.2f} | {scores['exact_match']:.1%}"
    )


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = cut(folder)
        pretrain(folder / "model")
        print("| flags | loss at step 1 | last epoch | test, own | test, others' | exactly right |")
        print("|---|---|---|---|---|---|")
        for case in names or list(CASES):
            print(f"| {case} | {run(folder, tables, CASES[case])} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
