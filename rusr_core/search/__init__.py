"""The parts of the search that `restore` puts together: what is checked and chosen before it begins (`preparation`),
the objective as a function of the latents (`objective`), and when an image stops (`stopping`)."""
