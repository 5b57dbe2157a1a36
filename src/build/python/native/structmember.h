/* See Python.h. */
#include "Python.h"
