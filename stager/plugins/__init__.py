"""The runtimes that come with stager. None imports another."""
