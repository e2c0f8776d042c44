"""What pictures are measured by: VGG-16 features and their statistics, SSIM, the lattice. For training and bench."""
