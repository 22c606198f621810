"""The only package that starts processes: questions through subprocess, work through sh."""
