// The largest error so far.
#pragma once

#include <cmath>

/// The worse of two errors; a NaN is the worst of all and stays, whatever follows. std::max would lose it.
inline double worse(double worst, double error) { return std::isnan(worst) || error <= worst ? worst : error; }
