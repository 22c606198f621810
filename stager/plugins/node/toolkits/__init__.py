"""Next, Nuxt, Astro and the others: what their builds leave, and what serves that."""
