// Upstream includes it for its host launchers, which are cut: nothing is needed of it. Part of mambaops, MIT.
#pragma once
#include "mambaops_prelude.h"
