"""From a photograph, a style and options to a painting: any size, in bounded memory."""
