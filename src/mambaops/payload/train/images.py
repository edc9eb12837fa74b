"""One picture from a file, as a tensor; a file that cannot be read is an error, never noise."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List

import torch
from torch import Tensor
from torch.nn import functional

from mambaops.payload.train.errors import InputError
from mambaops.payload.train.table import Table, spread_out

NIFTI = (".nii", ".nii.gz")


def read_image(path: str, size: int, channels: int, mask_path: str = "") -> Tensor:
    """The picture as float32 [channels, size, size] in [-1, 1].

    NIfTI volumes give one slice: the one with the largest mask, the middle one without a mask.

    Raises:
        InputError: missing, damaged, or of a format that needs a package that is not there.
    """
    try:
        if path.lower().endswith(NIFTI):
            picture = _scaled(_nifti_slice(path, mask_path))[None]
        else:
            picture = _read_picture(path, channels)
    except InputError:
        raise
    except Exception as error:  # Pillow and nibabel raise many kinds
        raise InputError(
            f"image {path} cannot be read: {type(error).__name__}: {error}",
            hint="replace the file or take its row out of the CSV; no other picture is put in its place",
        ) from error
    if picture.shape[0] != channels:
        picture = picture.mean(0, keepdim=True).expand(channels, -1, -1)
    if tuple(picture.shape[1:]) == (size, size):
        return picture.contiguous()
    return functional.interpolate(
        picture[None], size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )[0]


SAMPLED = 64  # pictures that are read before a run unless all are to be


def check_pictures(rows: Table, *, everything: bool) -> None:
    """Read pictures before the model is loaded: a sample, spread over the table, or all of them.

    Raises:
        InputError: some cannot be read; the first five are named with the reason.
    """
    chosen = spread_out(len(rows), len(rows) if everything else SAMPLED)
    found: List[str] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # decoding is outside Python's lock
        for begin in range(0, len(chosen), 1000):  # a million rows at once would fill the memory
            some = [rows[k] for k in chosen[begin : begin + 1000]]
            found += [text for text in pool.map(_why_unreadable, some) if text]
    if not found:
        return
    named = "\n".join(f"  {text}" for text in found[:5])
    looked = (
        "" if everything else f" that were looked at (of {len(rows)}; --check_images reads all)"
    )
    raise InputError(
        f"{len(found)} of {len(chosen)} pictures{looked} cannot be read\n{named}",
        hint="replace the files or take their rows out of the CSV",
    )


def _why_unreadable(row: Any) -> str:
    try:
        read_image(row.image, 8, 1, row.mask)
    except InputError as error:
        return f"line {row.line}: {error.message}"
    return ""


def _read_picture(path: str, channels: int) -> Tensor:
    from PIL import Image

    with Image.open(path) as image:
        if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: no fixed white
            return _scaled(torch.tensor(_values(image), dtype=torch.float32))[None]
        image = image.convert("L" if channels == 1 else "RGB")
        raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        picture = raw.view(image.height, image.width, -1).permute(2, 0, 1)
    return picture.float() / 127.5 - 1.0


def _values(image: Any) -> Any:
    import numpy

    return numpy.asarray(image).astype("float32")


def _scaled(picture: Tensor) -> Tensor:
    """Minimum to -1, maximum to 1; a constant picture becomes 0."""
    if not bool(torch.isfinite(picture).all()):
        raise ValueError("holds values that are not finite")
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low) * 2 - 1 if high > low else torch.zeros_like(picture)


def _nifti_slice(path: str, mask_path: str) -> Tensor:
    try:
        import nibabel
    except ImportError:
        raise InputError(
            f"image {path} is NIfTI and the package nibabel is not installed here",
            hint=f"`{sys.executable} -m pip install nibabel`, or give PNG slices",
        ) from None
    volume = torch.tensor(nibabel.load(path).get_fdata(dtype="float32"))
    if volume.ndim == 2:
        return volume
    volume = volume.reshape(volume.shape[0], volume.shape[1], -1)
    middle = volume.shape[2] // 2
    if mask_path:
        if not os.path.exists(mask_path):
            raise InputError(f"mask {mask_path} of image {path} is not there")
        mask = torch.tensor(nibabel.load(mask_path).get_fdata(dtype="float32")).reshape(
            volume.shape
        )
        middle = int((mask > 0).sum((0, 1)).argmax())
    return volume[:, :, middle]
