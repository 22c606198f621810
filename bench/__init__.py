"""Benchmarks against bare tools, runnable by anyone: python -m bench.pack"""
