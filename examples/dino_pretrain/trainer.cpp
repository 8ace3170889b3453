// The trainer, compiled once for the program.
#include <dino/ssl/trainer.hpp>

template class dino::DinoTrainer<float, dino::HostDevice>;
