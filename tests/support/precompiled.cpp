// Gives precompiled.hpp a target to belong to.
