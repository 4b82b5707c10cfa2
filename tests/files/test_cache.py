"""A cache holds what was used last, and never more than its limit."""

import os

import numpy as np

from phonsmith.files.cache import GB, Cache


def test_arrays_come_back(tmp_path):
    cache = Cache(tmp_path, 1)
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2])}
    assert cache.load("key") is None
    cache.save("key", arrays)
    found = Cache(tmp_path, 1).load("key")
    assert found.keys() == arrays.keys()
    assert all((found[name] == array).all() for name, array in arrays.items())
    assert cache.load("another key") is None


def test_the_least_recently_used_goes_first(tmp_path):
    cache = Cache(tmp_path, 1e6 / GB)
    one = {"a": np.zeros(5000)}  # 40 kB
    for i in range(50):
        cache.save(str(i), one)
        os.utime(cache._path(str(i)), (i, i))
        assert cache.load("0") is not None
    cache.prune()
    kept = [i for i in range(50) if cache._path(str(i)).exists()]
    assert sum(cache._path(str(i)).stat().st_size for i in kept) <= 1e6
    assert kept == [0, *range(kept[1], 50)]
    assert len(kept) > 15


def test_damage_counts_as_absent(tmp_path):
    cache = Cache(tmp_path, 1)
    cache.save("key", {"a": np.arange(1000.0)})
    path = cache._path("key")
    whole = path.read_bytes()
    for damaged in (b"", whole[:500], whole[:2000] + b"x" + whole[2001:]):
        path.write_bytes(damaged)
        assert cache.load("key") is None
    path.unlink()
    assert cache.load("key") is None


def test_no_size_no_files(tmp_path):
    cache = Cache(tmp_path / "cache", 0)
    cache.save("key", {"a": np.arange(3.0)})
    assert cache.load("key") is None and not (tmp_path / "cache").exists()
