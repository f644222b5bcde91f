// SPDX-License-Identifier: Apache-2.0
//
// sphinxbase's memory-mapped files, for a machine that has no mmap: the file
// is read whole. A short read is an error, never a map that ends in zeros.
#include <stdio.h>
#include <stdlib.h>

#include <sphinxbase/mmio.h>

struct mmio_file_s {
    void *data;
};

static void *read_whole(FILE *f) {
    long size;
    void *data;

    if (fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0 || fseek(f, 0, SEEK_SET) != 0)
        return NULL;
    if ((data = malloc((size_t)size)) == NULL)
        return NULL;
    if (fread(data, 1, (size_t)size, f) != (size_t)size) {
        free(data);
        return NULL;
    }
    return data;
}

mmio_file_t *mmio_file_read(const char *filename) {
    mmio_file_t *map;
    FILE *f = fopen(filename, "rb");

    if (f == NULL)
        return NULL;
    if ((map = malloc(sizeof *map)) != NULL && (map->data = read_whole(f)) == NULL) {
        free(map);
        map = NULL;
    }
    fclose(f);
    return map;
}

void mmio_file_unmap(mmio_file_t *map) {
    if (map != NULL) {
        free(map->data);
        free(map);
    }
}

void *mmio_file_ptr(mmio_file_t *map) {
    return map->data;
}
