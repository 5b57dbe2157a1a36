/* Python.h declares it all. */
#include "Python.h"
