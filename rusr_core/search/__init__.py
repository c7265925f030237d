"""The parts of the search that `restore` puts together: what is checked and chosen before it begins (`preparation`),
the objective as a function of the latents (`objective`), several answers to one image (`sampling`), and when an image
stops (`stopping`)."""
