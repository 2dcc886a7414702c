/* Decodes a JPEG at an eighth of its sides, without the coefficients that such a picture does not need. */

#ifndef THUMBSMITH_EIGHTH_H
#define THUMBSMITH_EIGHTH_H

#include <stddef.h>
#include <stdint.h>

enum eighth_status {
    EIGHTH_DONE = 0,
    EIGHTH_UNSUPPORTED = 1, /* a kind of JPEG that this decoder does not handle */
    EIGHTH_DAMAGED = 2,     /* something irregular in the coded data, harmless or not */
    EIGHTH_NO_MEMORY = 3,
};

/* Writes the picture to `pixels`: rows of `width` pixels of `channels` bytes, gray (1), RGB (3) or CMYK (4, 255 is full
 * ink, from files with inverted inks as Adobe writes them). The caller computes width and height: those of the file
 * divided by 8, rounded up. `pixels` has width * height * channels bytes.
 *
 * Returns EIGHTH_DONE only if nothing in the file is irregular, from its first byte to its end marker. `end` is then the
 * offset of the end marker. For any other status, `pixels` has no meaning.
 *
 * The function never reads outside of `data`, nor writes outside of `pixels` and `end`. It has no state. In addition, it
 * takes 400 KiB of memory, and at most 40 bytes for every 8 x 8 pixels of the file. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int eighth_decode(const uint8_t *data, size_t size, uint32_t width, uint32_t height, uint32_t channels, uint8_t *pixels,
                  size_t *end);

#endif
