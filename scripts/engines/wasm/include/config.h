// SPDX-License-Identifier: Apache-2.0
//
// What the libraries' configure script would have found out about wasm32-wasi.
#ifndef PARLEY_CONFIG_H
#define PARLEY_CONFIG_H

#include "sphinx_config.h"

#define STDC_HEADERS 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define PACKAGE_STRING "pocketsphinx 5prealpha"
#define PACKAGE_VERSION "5prealpha"
#define MODELDIR "/model"

#endif
