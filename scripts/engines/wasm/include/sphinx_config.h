// SPDX-License-Identifier: Apache-2.0
//
// The part of the configuration that sphinxbase's public headers read.
#ifndef PARLEY_SPHINX_CONFIG_H
#define PARLEY_SPHINX_CONFIG_H

#define EXEEXT ""
#define HAVE_LONG_LONG 1
#define HAVE_PERROR 1
#define HAVE_STDINT_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8

#endif
