"""GAN runs: what the generator draws, how far that is from real pictures, and what is proven of the critic."""
