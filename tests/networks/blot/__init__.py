"""A toy network: every picture in one colour. Found like our own, because its folder has a descriptor."""
