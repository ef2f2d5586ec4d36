"""A mixed load while server, worker and children are killed at random, and a proof that nothing acknowledged was lost,
and no event of it.

python -m tests.self_hosted.kill_storm --seconds 60 --seed 1
"""
