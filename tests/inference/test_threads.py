"""Linear algebra within an engine: one thread, and afterwards as many as before."""

from threadpoolctl import threadpool_info, threadpool_limits

from causalbias.inference.threads import one_thread


def threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_every_library_has_one_thread_within_and_what_it_had_after():
    with threadpool_limits(2, user_api="blas"):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}
