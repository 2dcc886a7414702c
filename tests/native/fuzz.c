/* Gives files to the native decoder, in memory of exactly their size: a sanitizer then reports every wrong access.
 *
 *     fuzz SEED COUNT FILE...   decodes the files, and COUNT mutants of them; prints how many had each status, and
 *                               the sum of all pixels, each times its number
 *
 * Built with -fsanitize=fuzzer it is a target for libFuzzer instead. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eighth.h"

enum { MAX_FILES = 256, MAX_PIXELS = 1 << 24 };

/* Returns the offset of the frame header's body, 0 if there is none. The decoder must get the size that it states. */
static size_t find_frame(const uint8_t *data, size_t size)
{
    for (size_t at = 2; at + 12 < size && data[at] == 0xFF; at += 2 + (size_t)(data[at + 2] << 8 | data[at + 3]))
        if (data[at + 1] == 0xC0 || data[at + 1] == 0xC1 || data[at + 1] == 0xC2)
            return at + 4;
    return 0;
}

static uint64_t all_pixels;

static int decode(const uint8_t *data, size_t size)
{
    size_t at = find_frame(data, size), end = 0;
    uint32_t width = 1, height = 1, channels = 1;
    if (at) {
        height = ((uint32_t)(data[at + 1] << 8 | data[at + 2]) + 7) / 8;
        width = ((uint32_t)(data[at + 3] << 8 | data[at + 4]) + 7) / 8;
        channels = data[at + 5];
    }
    if ((size_t)width * height * channels > MAX_PIXELS)
        return EIGHTH_UNSUPPORTED;
    uint8_t *copy = malloc(size ? size : 1), *pixels = malloc((size_t)width * height * channels + 1);
    if (!copy || !pixels)
        abort();
    memcpy(copy, data, size);
    int status = eighth_decode(copy, size, width, height, channels, pixels, &end);
    if (status == EIGHTH_DONE) {
        for (size_t index = 0; index < (size_t)width * height * channels; index++)
            all_pixels += pixels[index] * (index + 1);
        if (end + 2 > size || copy[end] != 0xFF || copy[end + 1] != 0xD9)
            abort();
    }
    free(copy);
    free(pixels);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    return 0;
}

#ifndef LIBFUZZER

struct file {
    uint8_t *data;
    size_t size;
};

static uint64_t state;

/* xorshift64*: https://www.jstatsoft.org/article/view/v008i14 */
static size_t below(size_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return limit ? (size_t)((state * 0x2545F4914F6CDD1DULL >> 33) % limit) : 0;
}

static struct file read_file(const char *name)
{
    struct file file = {malloc(1 << 20), 0};
    FILE *stream = fopen(name, "rb");
    if (!stream || !file.data)
        abort();
    file.size = fread(file.data, 1, 1 << 20, stream);
    fclose(stream);
    return file;
}

/* Returns a place: in the header, in the coded data, or anywhere. */
static size_t place(size_t size)
{
    size_t first = size < 700 ? size : 700;
    return below(3) ? below(size) : below(first);
}

/* Damages `data`, which has room for twice its size. Returns the new size. */
static size_t damage(uint8_t *data, size_t size, const struct file *other)
{
    static const uint8_t markers[] = {0x00, 0xD0, 0xD3, 0xD7, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD, 0xFF};
    size_t at = place(size), rest = size - at, count = below(rest < 64 ? rest : 64);
    switch (below(8)) {
    case 0:
        data[at] ^= (uint8_t)(1 << below(8));
        return size;
    case 1:
        data[at] = (uint8_t)below(256);
        return size;
    case 2: /* a marker */
        data[at] = 0xFF;
        if (rest > 1)
            data[at + 1] = markers[below(sizeof markers)];
        return size;
    case 3: /* cut, sometimes with an end marker */
        if (at > 2 && below(2))
            memcpy(data + at - 2, "\xFF\xD9", 2);
        return at;
    case 4:
        memmove(data + at, data + at + count, rest - count);
        return size - count;
    case 5: /* repeat */
        memmove(data + at + count, data + at, rest);
        return size + count;
    case 6:
        memset(data + at, below(2) ? 0 : (int)below(256), count);
        return size;
    default: /* continue with another file, at the same place or another */
        count = below(2) ? at : below(other->size);
        if (count >= other->size)
            return size;
        rest = other->size - count < size ? other->size - count : size;
        memcpy(data + at, other->data + count, rest);
        return at + rest;
    }
}

int main(int count, char **arguments)
{
    struct file files[MAX_FILES];
    size_t known = 0, statuses[4] = {0};
    if (count < 4)
        return 2;
    state = strtoull(arguments[1], NULL, 10) * 2654435761U + 1;
    for (int index = 3; index < count && known < MAX_FILES; index++, known++) {
        files[known] = read_file(arguments[index]);
        statuses[decode(files[known].data, files[known].size)]++;
    }
    for (unsigned long left = strtoul(arguments[2], NULL, 10); left; left--) {
        const struct file *file = &files[below(known)];
        size_t size = file->size;
        uint8_t *data = malloc(1 << 25);
        if (!data)
            abort();
        memcpy(data, file->data, size);
        for (size_t again = 1 + below(3); again && size && size < 1 << 21; again--)
            size = damage(data, size, &files[below(known)]);
        statuses[decode(data, size)]++;
        free(data);
    }
    for (size_t index = 0; index < known; index++)
        free(files[index].data);
    printf("%zu done, %zu unsupported, %zu damaged, %zu without memory, %llu pixels\n", statuses[0], statuses[1],
           statuses[2], statuses[3], (unsigned long long)all_pixels);
    return 0;
}

#endif
