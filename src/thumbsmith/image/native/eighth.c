/* See eighth.h. The parts of this file, in order: header, Huffman tables, coded data, blocks, lanes, pixels.
 *
 * A picture at an eighth has one pixel for every block of 8 x 8. Of most blocks only the mean (DC) is needed; the other
 * coefficients (AC) are skipped: a table tells for the next 12 bits how many bits whole symbols take, with the bits of
 * their values. libjpeg decodes chroma that is subsampled on both axes with 2 x 2 samples for each block. This needs
 * the coefficients of the odd rows and columns.
 *
 * Numbers in comments are sections of ITU-T T.81 (JPEG). "libjpeg" is libjpeg-turbo 3, whose pixels these are. */

#include "eighth.h"

#include <stdlib.h>
#include <string.h>

#define TRY(call)                        \
    do {                                 \
        int status_ = (call);            \
        if (status_ != EIGHTH_DONE)      \
            return status_;              \
    } while (0)

/* ---------------------------------------------------------------- header (B.2) */

enum {
    MAX_COMPONENTS = 4,
    MAX_BLOCKS = 10, /* of an MCU, B.2.3 */
    MAX_DC_BITS = 11, /* of values: F.1.2.1 for 8 bits a sample */
    MAX_MCUS = 1 << 24,
    MAX_SIDE = 65500, /* of libjpeg */
    COEFFICIENTS = 64,
    RST0 = 0xD0,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
};

enum transform { AS_STORED, YCC_TO_RGB, YCCK_TO_CMYK };

/* A Huffman table as in the file: the number of codes of each length, and the symbols in the order of their codes. */
struct code {
    uint8_t counts[17];
    uint8_t symbols[256];
    int known;
};

struct component {
    uint32_t id, across, down; /* sampling factors: blocks of an MCU */
    uint32_t quantizer, dc, ac; /* numbers of tables */
    uint32_t side; /* samples of a block on each axis, in the picture: 1 or 2 */
};

struct header {
    uint32_t width, height, count; /* count: of components; 0 before the frame header */
    struct component components[MAX_COMPONENTS];
    uint32_t max_across, max_down;
    uint32_t mcus_across, mcus_down;
    uint32_t restart_interval; /* in MCUs; 0 for none */
    uint32_t shift; /* of the DC coefficient: point transform of a progressive scan */
    int progressive;
    enum transform transform;
    struct code codes[2][4]; /* DC and AC */
    uint16_t quantizers[4][COEFFICIENTS]; /* in the order of the file: zigzag */
    int quantizer_known[4];
    size_t data; /* the offset of the coded data */
};

static uint32_t be16(const uint8_t *bytes) { return (uint32_t)bytes[0] << 8 | bytes[1]; }

static int read_quantizers(struct header *header, const uint8_t *body, size_t size)
{
    while (size) {
        uint32_t number = body[0] & 15, wide = body[0] >> 4, length = 1 + (COEFFICIENTS << (wide & 1));
        if (number > 3 || wide > 1 || size < length)
            return EIGHTH_UNSUPPORTED;
        for (int index = 0; index < COEFFICIENTS; index++) {
            uint32_t value = wide ? be16(body + 1 + 2 * index) : body[1 + index];
            if (value > INT16_MAX) /* libjpeg multiplies by signed numbers */
                return EIGHTH_UNSUPPORTED;
            header->quantizers[number][index] = (uint16_t)value;
        }
        header->quantizer_known[number] = 1;
        body += length;
        size -= length;
    }
    return EIGHTH_DONE;
}

static int read_codes(struct header *header, const uint8_t *body, size_t size)
{
    while (size) {
        if (size < 17 || body[0] & 0xEC) /* class 0 or 1, number 0 to 3 */
            return EIGHTH_UNSUPPORTED;
        struct code *code = &header->codes[body[0] >> 4][body[0] & 3];
        size_t total = 0;
        for (int length = 1; length <= 16; length++)
            total += code->counts[length] = body[length];
        if (total > 256 || size < 17 + total)
            return EIGHTH_UNSUPPORTED;
        for (size_t index = 0; body[0] < 16 && index < total; index++)
            if (body[17 + index] > MAX_DC_BITS) /* libjpeg rejects the file, even if the code is not used */
                return EIGHTH_UNSUPPORTED;
        memset(code->symbols, 0, sizeof code->symbols);
        memcpy(code->symbols, body + 17, total);
        code->known = 1;
        body += 17 + total;
        size -= 17 + total;
    }
    return EIGHTH_DONE;
}

static int read_frame(struct header *header, const uint8_t *body, size_t size, int progressive)
{
    if (header->count || size < 6 || body[0] != 8)
        return EIGHTH_UNSUPPORTED;
    uint32_t count = body[5];
    header->height = be16(body + 1);
    header->width = be16(body + 3);
    header->progressive = progressive;
    if ((count != 1 && count != 3 && count != 4) || size != 6 + 3 * count)
        return EIGHTH_UNSUPPORTED;
    if (!header->width || !header->height || header->width > MAX_SIDE || header->height > MAX_SIDE)
        return EIGHTH_UNSUPPORTED;
    for (uint32_t index = 0; index < count; index++) {
        const uint8_t *fields = body + 6 + 3 * index;
        struct component *each = &header->components[index];
        each->id = fields[0];
        each->across = fields[1] >> 4;
        each->down = fields[1] & 15;
        each->quantizer = fields[2];
        if (each->across < 1 || each->across > 4 || each->down < 1 || each->down > 4 || each->quantizer > 3)
            return EIGHTH_UNSUPPORTED;
        for (uint32_t other = 0; other < index; other++)
            if (header->components[other].id == each->id)
                return EIGHTH_UNSUPPORTED;
        header->max_across = each->across > header->max_across ? each->across : header->max_across;
        header->max_down = each->down > header->max_down ? each->down : header->max_down;
    }
    header->count = count;
    return EIGHTH_DONE;
}

/* A scan of all components, in the order of the frame: all coefficients, or the DC coefficients of a progressive one. */
static int read_scan(struct header *header, const uint8_t *body, size_t size)
{
    uint32_t count = header->count;
    if (!count || size != 4 + 2 * count || body[0] != count)
        return EIGHTH_UNSUPPORTED;
    for (uint32_t index = 0; index < count; index++) {
        const uint8_t *fields = body + 1 + 2 * index;
        struct component *each = &header->components[index];
        each->dc = fields[1] >> 4;
        each->ac = fields[1] & 15;
        if (fields[0] != each->id || each->dc > 3 || each->ac > 3 || !header->quantizer_known[each->quantizer])
            return EIGHTH_UNSUPPORTED;
        if (!header->codes[0][each->dc].known || (!header->progressive && !header->codes[1][each->ac].known))
            return EIGHTH_UNSUPPORTED;
        for (int number = 1; header->progressive && number < COEFFICIENTS; number++)
            if (header->quantizers[each->quantizer][number]) /* libjpeg then estimates what later scans have */
                return EIGHTH_UNSUPPORTED;
    }
    const uint8_t *rest = body + 1 + 2 * count; /* first and last coefficient, two numbers of bits */
    header->shift = rest[2];
    if (rest[0] != 0 || rest[1] != (header->progressive ? 0 : COEFFICIENTS - 1) || rest[2] > header->progressive)
        return EIGHTH_UNSUPPORTED;
    return EIGHTH_DONE;
}

/* The segments that tell what the components are, by the rules of libjpeg (default_decompress_parms). */
struct hints {
    int jfif, adobe, adobe_transform;
};

static enum transform choose_transform(const struct header *header, const struct hints *hints)
{
    const struct component *all = header->components;
    if (header->count == 4)
        return hints->adobe && hints->adobe_transform == 2 ? YCCK_TO_CMYK : AS_STORED;
    if (header->count == 1)
        return AS_STORED;
    if (hints->jfif)
        return YCC_TO_RGB;
    if (hints->adobe)
        return hints->adobe_transform == 0 ? AS_STORED : YCC_TO_RGB;
    return all[0].id == 'R' && all[1].id == 'G' && all[2].id == 'B' ? AS_STORED : YCC_TO_RGB;
}

/* Sets the layout of MCUs, and the samples of a block: libjpeg doubles them, on both axes at once, while the component
 * then has no more samples than the picture has pixels (jdmaster.c). */
static int lay_out(struct header *header)
{
    uint32_t blocks = 0;
    for (uint32_t index = 0; index < header->count; index++) {
        struct component *each = &header->components[index];
        uint32_t side = 1;
        while (header->max_across % (each->across * side * 2) == 0 && header->max_down % (each->down * side * 2) == 0)
            side *= 2;
        each->side = side;
        if (side > 2 || header->max_across % (each->across * side) || header->max_down % (each->down * side))
            return EIGHTH_UNSUPPORTED;
        if (header->count == 1) /* a scan of one component is not interleaved, A.2.2 */
            each->across = each->down = header->max_across = header->max_down = 1;
        blocks += each->across * each->down;
    }
    if (blocks > MAX_BLOCKS)
        return EIGHTH_UNSUPPORTED;
    header->mcus_across = (header->width + 8 * header->max_across - 1) / (8 * header->max_across);
    header->mcus_down = (header->height + 8 * header->max_down - 1) / (8 * header->max_down);
    return EIGHTH_DONE;
}

static int read_header(struct header *header, const uint8_t *data, size_t size)
{
    struct hints hints = {0, 0, 0};
    size_t offset = 2;
    if (size < 4 || data[0] != 0xFF || data[1] != SOI)
        return EIGHTH_UNSUPPORTED;
    for (;;) {
        if (size - offset < 4 || data[offset] != 0xFF)
            return EIGHTH_UNSUPPORTED;
        uint32_t marker = data[offset + 1], length = be16(data + offset + 2);
        if (length < 2 || length > size - offset - 2)
            return EIGHTH_UNSUPPORTED;
        const uint8_t *body = data + offset + 4;
        size_t rest = length - 2;
        offset += 2 + length;
        if (marker == 0xC0 || marker == 0xC1 || marker == 0xC2) {
            TRY(read_frame(header, body, rest, marker == 0xC2));
        } else if (marker == 0xC4) {
            TRY(read_codes(header, body, rest));
        } else if (marker == 0xDB) {
            TRY(read_quantizers(header, body, rest));
        } else if (marker == 0xDD && rest == 2) {
            header->restart_interval = be16(body);
        } else if (marker == SOS) {
            TRY(read_scan(header, body, rest));
            break;
        } else if (marker == 0xE0) {
            hints.jfif |= rest >= 14 && !memcmp(body, "JFIF", 5);
        } else if (marker == 0xEE) {
            if (rest >= 12 && !memcmp(body, "Adobe", 5)) {
                hints.adobe = 1;
                hints.adobe_transform = body[11];
            }
        } else if ((marker & 0xF0) != 0xE0 && marker != 0xFE) {
            return EIGHTH_UNSUPPORTED;
        }
    }
    header->data = offset;
    header->transform = choose_transform(header, &hints);
    if (hints.adobe && header->count > 1 && hints.adobe_transform && hints.adobe_transform != (header->count == 4 ? 2 : 1))
        return EIGHTH_UNSUPPORTED; /* libjpeg warns */
    return lay_out(header);
}

/* ---------------------------------------------------------------- Huffman tables (annex C, F.2.2) */

enum {
    LOOKUP_BITS = 12, /* measured: with 13, files with much detail take 3 % less, all others more */
    VALUE_BITS = 11,
    MAX_AC_BITS = 10, /* of values: F.1.2.2 for 8 bits a sample */
    END_OF_BLOCK = 128, /* added to the coefficients that an entry passes */
    TAKE_ONE = 255,     /* in their place: the next symbol must be read alone */
};

/* A table to decode symbols one by one. An entry is length << 8 | symbol, 0 for longer codes and for none. */
struct symbols {
    uint16_t entries[1 << VALUE_BITS];
    uint32_t limits[17]; /* for each length: the first number that is no code, with 16 bits */
    uint32_t first[17];  /* the first code of that length, and its index in `symbols` */
    uint32_t index[17];
    uint8_t symbols[256];
};

/* A table to skip symbols. An entry is coefficients << 5 | bits. */
struct skips {
    uint16_t entries[1 << LOOKUP_BITS];
};

/* A table to read symbols with their values. An entry is value << 16 | coefficients << 8 | bits. It is 0 for what takes
 * more bits than the table looks at. */
struct values {
    int32_t entries[1 << VALUE_BITS];
};

/* A table for the beginning of a block, often all of it. An entry is DC << 16 | next coefficient << 8 | bits. It is 0 if
 * the DC coefficient takes more bits than the table looks at. */
struct starts {
    int32_t entries[1 << LOOKUP_BITS];
};

/* Returns the value that is stored as these `size` bits: T.81, F.2.2.1 (EXTEND). */
static inline int32_t extend(uint32_t bits, uint32_t size)
{
    int32_t negative = size > 0 && !(bits >> (size - 1));
    return (int32_t)bits - ((1 << size) - 1) * negative;
}

static int build_symbols(struct symbols *table, const struct code *code)
{
    uint32_t next = 0, index = 0;
    memset(table, 0, sizeof *table);
    memcpy(table->symbols, code->symbols, sizeof table->symbols);
    for (int length = 1; length <= 16; length++) {
        table->first[length] = next;
        table->index[length] = index;
        for (uint32_t count = code->counts[length]; count; count--, next++, index++) {
            if (length <= VALUE_BITS && next < 1U << length) {
                uint32_t shift = VALUE_BITS - length;
                for (uint32_t entry = next << shift; entry < (next + 1) << shift; entry++)
                    table->entries[entry] = (uint16_t)(length << 8 | code->symbols[index]);
            }
        }
        if (next >= 1U << length) /* too many codes, or one of ones alone, which T.81 does not allow (annex C) */
            return EIGHTH_UNSUPPORTED;
        table->limits[length] = next << (16 - length);
        next <<= 1;
    }
    return EIGHTH_DONE;
}

/* Returns length << 8 | symbol for the code at the beginning of these 16 bits, 0 if there is none. */
static uint32_t find_symbol(const struct symbols *table, uint32_t bits)
{
    uint32_t found = table->entries[bits >> (16 - VALUE_BITS)];
    if (found)
        return found;
    for (uint32_t length = VALUE_BITS + 1; length <= 16; length++)
        if (bits < table->limits[length]) {
            uint32_t index = table->index[length] + (bits >> (16 - length)) - table->first[length];
            return length << 8 | table->symbols[index & 255];
        }
    return 0;
}

/* Returns the entry for one symbol: how far it goes, and its bits with those of its value. */
static uint32_t skip_one(uint32_t symbol)
{
    uint32_t length = symbol >> 8, run = symbol >> 4 & 15, size = symbol & 15;
    if (!symbol || size > MAX_AC_BITS || (!size && run != 0 && run != 15))
        return TAKE_ONE << 5;
    return (size || run ? run + 1 : END_OF_BLOCK) << 5 | (length + size);
}

/* Skips whole symbols after the first `bits` bits of a window; `next` is the next coefficient. Returns both, as
 * next << 8 | bits. Of the last symbol, the value may be outside of the window. */
static uint32_t skip_in_window(const struct symbols *symbols, uint32_t window, uint32_t next, uint32_t bits)
{
    while (bits < LOOKUP_BITS && next < COEFFICIENTS) {
        uint32_t symbol = find_symbol(symbols, window << bits << (16 - LOOKUP_BITS) & 0xFFFF), step = skip_one(symbol);
        uint32_t passed = step >> 5;
        if (bits + (symbol >> 8) > LOOKUP_BITS || passed == TAKE_ONE || (next + passed >= COEFFICIENTS && passed < 64))
            break;
        bits += step & 31;
        next += passed;
    }
    return next << 8 | bits;
}

static void build_values(struct values *table, const struct symbols *symbols)
{
    for (uint32_t window = 0; window < 1 << VALUE_BITS; window++) {
        uint32_t symbol = symbols->entries[window], step = skip_one(symbol), length = step & 31, size = symbol & 15;
        int fits = step >> 5 != TAKE_ONE && length <= VALUE_BITS;
        int32_t value = fits ? extend(window >> (VALUE_BITS - length) & ((1U << size) - 1), size) : 0;
        table->entries[window] = fits ? value * 65536 + (int32_t)(step >> 5 << 8 | length) : 0;
    }
}

static void build_skips(struct skips *table, const struct symbols *symbols)
{
    for (uint32_t window = 0; window < 1 << LOOKUP_BITS; window++) {
        uint32_t found = skip_in_window(symbols, window, 0, 0);
        table->entries[window] = (uint16_t)((found & 255 ? found >> 8 : TAKE_ONE) << 5 | (found & 255));
    }
}

/* How the blocks of a component are decoded. */
struct kind {
    const struct symbols *dc, *ac; /* no `ac` in a progressive scan */
    const struct skips *skips;
    const uint16_t *quantizer; /* for blocks of 2 x 2 samples, else NULL */
    struct values values;      /* for these alone */
    struct starts starts;
};

/* Returns next << 8 | bits as skip_in_window does, for a block whose other coefficients are read one by one. */
static uint32_t end_in_window(const struct symbols *symbols, uint32_t window, uint32_t bits)
{
    uint32_t symbol = find_symbol(symbols, window << bits << (16 - LOOKUP_BITS) & 0xFFFF), end = bits + (symbol >> 8);
    return symbol && !(symbol & 255) && end <= LOOKUP_BITS ? END_OF_BLOCK << 8 | end : 1 << 8 | bits;
}

static void build_starts(struct kind *kind)
{
    for (uint32_t window = 0; window < 1 << LOOKUP_BITS; window++) {
        uint32_t symbol = find_symbol(kind->dc, window << (16 - LOOKUP_BITS)), size = symbol & 255;
        uint32_t bits = (symbol >> 8) + size, found = END_OF_BLOCK << 8 | bits;
        kind->starts.entries[window] = 0;
        if (!symbol || size > MAX_DC_BITS || bits > LOOKUP_BITS)
            continue;
        if (kind->ac)
            found = kind->quantizer ? end_in_window(kind->ac, window, bits) : skip_in_window(kind->ac, window, 1, bits);
        uint32_t value = window >> (LOOKUP_BITS - bits) & ((1U << size) - 1);
        kind->starts.entries[window] = extend(value, size) * 65536 + (int32_t)found;
    }
}

/* ---------------------------------------------------------------- coded data (B.1.1.5, F.1.2.3) */

#ifndef WINDOW_BYTES /* tests have many small windows */
#define WINDOW_BYTES (32 << 10)
#endif

enum {
    /* The longest block and MCU: for each coefficient a code of 16 bits and a value. */
    BLOCK_BITS = 16 + MAX_DC_BITS + (COEFFICIENTS - 1) * (16 + MAX_AC_BITS),
    MCU_BYTES = MAX_BLOCKS * BLOCK_BITS / 8 + 1,
    AHEAD_BYTES = 16, /* of reading */
    NO_MARKER = 0,
};

/* The next bits, from the highest one; `count` of them are valid. `next` is where the bits after these are. */
struct bits {
    uint64_t word;
    uint32_t count;
    const uint8_t *next;
};

static inline uint64_t be64(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 | (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
           (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 | (uint64_t)bytes[6] << 8 | bytes[7];
}

/* Reads on, so that at least 56 bits are valid. */
static inline void refill(struct bits *bits)
{
    bits->word |= be64(bits->next) >> bits->count;
    bits->next += (63 - bits->count) >> 3;
    bits->count |= 56;
}

static inline uint32_t peek(const struct bits *bits, uint32_t count) { return (uint32_t)(bits->word >> (64 - count)); }

static inline void drop(struct bits *bits, uint32_t count)
{
    bits->word <<= count;
    bits->count -= count;
}

/* Starts to read at a number of bits after `start`. */
static void read_from(struct bits *bits, const uint8_t *start, size_t position)
{
    *bits = (struct bits){0, 0, start + position / 8};
    refill(bits);
    drop(bits, position % 8);
}

/* Goes back by this number of bits, which were dropped after the last refill but one. */
static void go_back(struct bits *bits, uint32_t count)
{
    uint32_t ahead = bits->count + count;
    read_from(bits, bits->next - (ahead + 7) / 8, (8 - ahead % 8) % 8);
}

/* A lane decodes MCUs one after the other, from some place in the coded data on. Its window has the next bytes without
 * the zeros that are stuffed behind FF. */
struct lane {
    struct bits bits;
    const uint8_t *raw, *raw_end; /* what follows the window in the file */
    const uint8_t *stop;          /* a place up to which bytes are counted; NULL for none, and behind it */
    uint64_t bytes, stop_bytes;   /* that came into the window since the lane began, and of these up to `stop` */
    size_t held;                  /* bytes in the window */
    int ended;                    /* a marker follows the window */
    uint32_t marker;              /* which one; NO_MARKER at the end of the file */
    uint32_t in_interval;         /* MCUs since the last restart */
    uint32_t restarts;            /* the number of the next restart marker, 0 to 7 */
    const uint8_t *segment;       /* where the data behind the last restart marker began */
    size_t done;                  /* MCUs */
    int16_t *values;              /* of the next MCU */
    uint8_t window[WINDOW_BYTES + MCU_BYTES + AHEAD_BYTES];
};

static size_t position_in_window(const struct lane *lane)
{
    return (size_t)(lane->bits.next - lane->window) * 8 - lane->bits.count;
}

/* Returns the place of the next bit, in bits since the lane began. */
static uint64_t position(const struct lane *lane)
{
    return (lane->bytes - lane->held) * 8 + position_in_window(lane);
}

/* Moves the window to the next bit, and fills it. Behind the last byte of coded data there are zeros. */
static void fill_window(struct lane *lane)
{
    size_t at = position_in_window(lane), held = lane->held - at / 8;
    memmove(lane->window, lane->window + at / 8, held);
    while (!lane->ended && held < WINDOW_BYTES) {
        size_t space = WINDOW_BYTES - held, left = (size_t)(lane->raw_end - lane->raw);
        if (lane->stop && lane->raw <= lane->stop) {
            left = (size_t)(lane->stop - lane->raw);
            if (!left) {
                lane->stop_bytes = lane->bytes;
                lane->stop = NULL;
                continue;
            }
        }
        size_t count = left < space ? left : space;
        const uint8_t *found = count ? memchr(lane->raw, 0xFF, count) : NULL;
        count = found ? (size_t)(found - lane->raw) : count;
        memcpy(lane->window + held, lane->raw, count);
        held += count;
        lane->bytes += count;
        lane->raw += count;
        if (found && lane->raw_end - lane->raw > 1 && lane->raw[1] == 0) {
            lane->window[held++] = 0xFF;
            lane->bytes++;
            lane->raw += 2;
        } else if (found || lane->raw == lane->raw_end) {
            lane->ended = 1;
            lane->marker = lane->raw_end - lane->raw > 1 ? lane->raw[1] : NO_MARKER;
        }
    }
    if (lane->ended)
        memset(lane->window + held, 0, MCU_BYTES + AHEAD_BYTES);
    lane->held = held;
    read_from(&lane->bits, lane->window, at % 8);
}

/* Begins at `raw`, with an empty window. */
static void begin_segment(struct lane *lane, const uint8_t *raw)
{
    lane->raw = lane->segment = raw;
    lane->held = 0;
    lane->ended = 0;
    lane->in_interval = 0;
    lane->bits = (struct bits){0, 0, lane->window};
    fill_window(lane);
}

/* ---------------------------------------------------------------- blocks (F.2.2) */

/* What all lanes share. */
struct plan {
    struct header header;
    size_t mcus;
    uint32_t restart_interval; /* in MCUs; 0 for none */
    size_t mcu_bytes; /* at most */
    uint32_t blocks, values; /* of an MCU: blocks; a number for each, 5 for one of 2 x 2 samples */
    const struct kind *kind_of[MAX_BLOCKS];
    struct kind kinds[MAX_COMPONENTS];
    struct symbols symbols[2][4];
    struct skips skips[4];
};

/* Reads the value of a symbol. */
static int32_t take_value(struct bits *bits, uint32_t symbol)
{
    uint32_t size = symbol & 15;
    drop(bits, symbol >> 8);
    int32_t value = extend((uint32_t)(bits->word >> 1 >> (63 - size)), size);
    drop(bits, size);
    return value;
}

/* Reads a DC coefficient that is not in the table of starts. */
static int take_dc(const struct symbols *table, struct bits *bits, int16_t *value)
{
    uint32_t symbol = find_symbol(table, peek(bits, 16));
    if (!symbol || (symbol & 255) > MAX_DC_BITS)
        return EIGHTH_DAMAGED;
    *value = (int16_t)take_value(bits, symbol);
    return EIGHTH_DONE;
}

/* Skips the coefficients of a block from number `index` on, symbol by symbol. */
static int skip_slowly(const struct symbols *table, struct bits *bits, uint32_t index)
{
    while (index < COEFFICIENTS) {
        refill(bits);
        uint32_t step = skip_one(find_symbol(table, peek(bits, 16)));
        if (step >> 5 == TAKE_ONE)
            return EIGHTH_DAMAGED;
        drop(bits, step & 31);
        if (step >> 5 == END_OF_BLOCK)
            return EIGHTH_DONE;
        index += step >> 5;
    }
    return index == COEFFICIENTS ? EIGHTH_DONE : EIGHTH_DAMAGED;
}

/* Checks the end of a block that was skipped with the table: `index` is the coefficient after the last entry, which was
 * `last`. An entry may have gone beyond the end of the block. Then it is taken back. */
static inline int end_skipping(const struct symbols *table, struct bits *bits, uint32_t index, uint32_t last)
{
    if (index == COEFFICIENTS || index - END_OF_BLOCK < COEFFICIENTS)
        return EIGHTH_DONE;
    go_back(bits, last & 31);
    return skip_slowly(table, bits, index - (last >> 5));
}

static inline int skip_rest(const struct kind *kind, struct bits *bits, uint32_t index)
{
    struct bits here = *bits; /* in registers */
    uint32_t entry = 0;
    while (index < COEFFICIENTS) {
        refill(&here);
        entry = kind->skips->entries[peek(&here, LOOKUP_BITS)];
        drop(&here, entry & 31);
        index += entry >> 5;
    }
    *bits = here;
    return end_skipping(kind->ac, bits, index, entry);
}

/* Returns ones if a number is below another, else zeros: without a branch, which the processor would guess wrong. */
static inline uint32_t mask_below(uint32_t number, uint32_t limit) { return (uint32_t)((int32_t)(number - limit) >> 31); }

/* The same for two lanes at once: the processor works on one while it waits for the table of the other. A lane that has
 * finished gets entries of 0 bits. */
static inline int skip_two_rests(const struct kind *kind, struct bits *one, struct bits *two, uint32_t first,
                                 uint32_t second)
{
    struct bits here = *one, there = *two; /* in registers */
    uint32_t last_first = 0, last_second = 0;
    while (first < COEFFICIENTS || second < COEFFICIENTS) {
        refill(&here);
        refill(&there);
        for (int again = 0; again < 2; again++) {
            uint32_t entry = kind->skips->entries[peek(&here, LOOKUP_BITS)], active = mask_below(first, COEFFICIENTS);
            uint32_t other = kind->skips->entries[peek(&there, LOOKUP_BITS)], awake = mask_below(second, COEFFICIENTS);
            last_first ^= (last_first ^ entry) & active;
            last_second ^= (last_second ^ other) & awake;
            drop(&here, entry & active & 31);
            drop(&there, other & awake & 31);
            first += (entry & active) >> 5;
            second += (other & awake) >> 5;
        }
    }
    *one = here;
    *two = there;
    int status = end_skipping(kind->ac, one, first, last_first);
    return status | end_skipping(kind->ac, two, second, last_second) << 2;
}

/* Coefficients of a block that 2 x 2 samples need: those in rows and columns 0, 1, 3, 5 and 7. */
enum { NEEDED = 5, NOT_NEEDED = NEEDED * NEEDED };

/* Number of a coefficient in zigzag order -> its place among those, row by row. Numbers from 64 on mean the end. */
static const uint8_t PLACES[256] = {
    0,  1,  5,  25, 6,  25, 2,  25, 25, 10, 25, 11, 25, 7,  25, 3,  25, 25, 25, 25, 15, 25,
    16, 25, 12, 25, 8,  25, 4,  25, 25, 25, 25, 25, 25, 20, 21, 25, 17, 25, 13, 25, 9,  25,
    25, 25, 25, 25, 25, 22, 25, 18, 25, 14, 25, 25, 25, 25, 23, 25, 19, 25, 25, 24,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
};

/* Half the difference of two samples: the sum of coefficients 1, 3, 5 and 7 times these, which are sums of cosines times
 * 2 ** 13. libjpeg has the same numbers (jidctred.c), and rounds at the same places. */
static inline int64_t half_difference(int64_t first, int64_t third, int64_t fifth, int64_t seventh)
{
    return 29692 * first - 10426 * third + 6967 * fifth - 5906 * seventh;
}

/* What the coefficients other than DC add to 8 times each of the 2 x 2 samples, with 4 for rounding, if they are 0. */
static const int16_t FLAT[4] = {4, 4, 4, 4};

/* Writes the same for these coefficients. */
static int transform_block(const int32_t *all, int16_t samples[4])
{
    int64_t top[NEEDED], bottom[NEEDED]; /* after the transform of columns */
    for (int column = 0; column < NEEDED; column++) {
        const int32_t *from = all + column;
        top[column] = bottom[column] = (int64_t)(column ? from[0] : 0) * 4;
        if (from[5] | from[10] | from[15] | from[20]) {
            int64_t odd = half_difference(from[5], from[10], from[15], from[20]);
            top[column] += (odd + (1 << 12)) >> 13;
            bottom[column] += (-odd + (1 << 12)) >> 13;
        }
    }
    for (int row = 0; row < 2; row++) {
        const int64_t *from = row ? bottom : top;
        int64_t mean = from[0] * (1 << 15) + (1 << 19), odd = half_difference(from[1], from[2], from[3], from[4]);
        int64_t left = (mean + odd) >> 17, right = (mean - odd) >> 17;
        if (left < INT16_MIN || left > INT16_MAX || right < INT16_MIN || right > INT16_MAX)
            return EIGHTH_DAMAGED;
        samples[2 * row] = (int16_t)left;
        samples[2 * row + 1] = (int16_t)right;
    }
    return EIGHTH_DONE;
}

/* Reads the coefficients of a block from number `index` on, symbol by symbol, and writes those that are needed. */
static int take_coefficients(const struct kind *kind, struct bits *bits, uint32_t index, int32_t *coefficients)
{
    while (index < COEFFICIENTS) {
        refill(bits);
        uint32_t symbol = find_symbol(kind->ac, peek(bits, 16)), passed = skip_one(symbol) >> 5;
        if (passed == TAKE_ONE)
            return EIGHTH_DAMAGED;
        index += passed;
        coefficients[PLACES[index - 1]] = take_value(bits, symbol) * kind->quantizer[(index - 1) % COEFFICIENTS];
    }
    return index == COEFFICIENTS || index >= END_OF_BLOCK ? EIGHTH_DONE : EIGHTH_DAMAGED;
}

/* Decodes the coefficients of a block from number `index` on, for 2 x 2 samples. */
static int take_samples(const struct kind *kind, struct bits *bits, uint32_t index, int16_t samples[4])
{
    struct bits here = *bits; /* in registers */
    int32_t coefficients[NOT_NEEDED + 1] = {0}, found = 1;
    while (index < COEFFICIENTS) {
        refill(&here);
        found = kind->values.entries[peek(&here, VALUE_BITS)];
        if (!found)
            break;
        drop(&here, (uint32_t)found & 31);
        index += (uint32_t)found >> 8 & 255;
        coefficients[PLACES[index - 1]] = (found >> 16) * kind->quantizer[(index - 1) % COEFFICIENTS];
    }
    *bits = here;
    TRY(take_coefficients(kind, bits, index, coefficients));
    return transform_block(coefficients, samples);
}

/* The same for two lanes. The status of the second one is two bits higher. */
static int take_two_samples(const struct kind *kind, struct bits *one, struct bits *two, uint32_t first, uint32_t second,
                            int16_t samples[4], int16_t others[4])
{
    struct bits here = *one, there = *two; /* in registers */
    int32_t coefficients[NOT_NEEDED + 1] = {0}, other_coefficients[NOT_NEEDED + 1] = {0};
    while (first < COEFFICIENTS || second < COEFFICIENTS) {
        uint32_t active = mask_below(first, COEFFICIENTS), awake = mask_below(second, COEFFICIENTS);
        refill(&here);
        refill(&there);
        int32_t found = kind->values.entries[peek(&here, VALUE_BITS)];
        int32_t other = kind->values.entries[peek(&there, VALUE_BITS)];
        if ((!found && active) || (!other && awake))
            break;
        found &= (int32_t)active;
        other &= (int32_t)awake;
        drop(&here, (uint32_t)found & 31);
        drop(&there, (uint32_t)other & 31);
        first += (uint32_t)found >> 8 & 255;
        second += (uint32_t)other >> 8 & 255;
        uint32_t index = (first - 1) | (~active & 255), other_index = (second - 1) | (~awake & 255);
        coefficients[PLACES[index]] = (found >> 16) * kind->quantizer[index % COEFFICIENTS];
        other_coefficients[PLACES[other_index]] = (other >> 16) * kind->quantizer[other_index % COEFFICIENTS];
    }
    *one = here;
    *two = there;
    int status = take_coefficients(kind, one, first, coefficients);
    status |= take_coefficients(kind, two, second, other_coefficients) << 2;
    return status | transform_block(coefficients, samples) | transform_block(other_coefficients, others) << 2;
}

/* Decodes the rest of a block, whose next coefficient is number `index`. */
static inline int take_rest(const struct kind *kind, struct bits *bits, uint32_t index, int16_t *samples)
{
    return kind->quantizer ? take_samples(kind, bits, index, samples) : skip_rest(kind, bits, index);
}

static inline int take_block(const struct kind *kind, struct bits *bits, int16_t *values)
{
    refill(bits);
    int32_t start = kind->starts.entries[peek(bits, LOOKUP_BITS)];
    drop(bits, (uint32_t)start & 31);
    values[0] = (int16_t)(start >> 16);
    if (!start)
        TRY(take_dc(kind->dc, bits, values));
    uint32_t index = start ? (uint32_t)start >> 8 & 255 : kind->ac ? 1 : END_OF_BLOCK;
    return take_rest(kind, bits, index, values + 1);
}

/* The same for two lanes. The status of the second one is two bits higher. */
static inline int take_two_blocks(const struct kind *kind, struct bits *one, struct bits *two, int16_t *values,
                                  int16_t *others)
{
    refill(one);
    refill(two);
    int32_t start = kind->starts.entries[peek(one, LOOKUP_BITS)], other = kind->starts.entries[peek(two, LOOKUP_BITS)];
    if (!start || !other) {
        int status = take_block(kind, one, values);
        return status | take_block(kind, two, others) << 2;
    }
    drop(one, (uint32_t)start & 31);
    drop(two, (uint32_t)other & 31);
    values[0] = (int16_t)(start >> 16);
    others[0] = (int16_t)(other >> 16);
    uint32_t index = (uint32_t)start >> 8 & 255, other_index = (uint32_t)other >> 8 & 255;
    if (!(index & other_index & END_OF_BLOCK))
        return kind->quantizer ? take_two_samples(kind, one, two, index, other_index, values + 1, others + 1)
                               : skip_two_rests(kind, one, two, index, other_index);
    if (kind->quantizer) {
        memcpy(values + 1, FLAT, sizeof FLAT);
        memcpy(others + 1, FLAT, sizeof FLAT);
    }
    return EIGHTH_DONE;
}

/* ---------------------------------------------------------------- lanes

 * The first lane begins with the data. The second one begins in the middle, at any bit of any block. Decoding Huffman
 * codes from a wrong place comes to a right one by itself, after some hundred blocks: from then on, both lanes would do
 * the same. So the second lane notes where its MCUs begin. When the first lane begins an MCU at such a place, it stops:
 * all that follows has been decoded. With restart markers, the second lane begins behind one. DC coefficients are
 * differences to the block before (F.1.1.5.1), and summed up at the end. */

#ifndef MIN_BYTES_FOR_LANES /* tests have lanes in small files */
#define MIN_BYTES_FOR_LANES (64 << 10)
#endif

enum { MAX_PLACES = 4096 }; /* photographs need less than 10 */

/* The second lane, and the places where its first MCUs begin, in bits. */
struct second {
    struct lane lane;
    const uint8_t *start; /* NULL if there is no second lane */
    uint32_t places[MAX_PLACES];
    size_t seen; /* of these places the first lane is behind */
};

/* The values of all MCUs: a number of values of the first lane, then those of the second one. */
struct parts {
    int16_t *first, *second;
    size_t of_first;
};

/* Counts finished MCUs, and checks that their bits are in the file. */
static int count_mcus(const struct plan *plan, struct lane *lane, size_t mcus)
{
    lane->values += mcus * plan->values;
    lane->in_interval += (uint32_t)mcus;
    lane->done += mcus;
    return lane->ended && position_in_window(lane) > lane->held * 8 ? EIGHTH_DAMAGED : EIGHTH_DONE;
}

/* Decodes the next MCU of a lane that is ready. */
static int take_mcu(const struct plan *plan, struct lane *lane)
{
    int16_t *values = lane->values;
    for (uint32_t block = 0; block < plan->blocks; block++) {
        const struct kind *kind = plan->kind_of[block];
        TRY(take_block(kind, &lane->bits, values));
        values += kind->quantizer ? 5 : 1;
    }
    return count_mcus(plan, lane, 1);
}

/* The same for two lanes, and a number of MCUs. Notes where each MCU of the second one begins. The status of the second
 * one is two bits higher. */
static int take_two_mcus(const struct plan *plan, struct lane *first, struct second *second, size_t mcus)
{
    struct bits one = first->bits, two = second->lane.bits;
    int16_t *values = first->values, *others = second->lane.values;
    size_t number = second->lane.done;
    uint64_t window = (second->lane.bytes - second->lane.held) * 8;
    size_t taken = 0;
    int status = EIGHTH_DONE;
    for (; taken < mcus && status == EIGHTH_DONE; taken++) { /* a damaged lane continues to the end of its MCU */
        if (number < MAX_PLACES)
            second->places[number++] = (uint32_t)(window + (uint64_t)(two.next - second->lane.window) * 8 - two.count);
        for (uint32_t block = 0; block < plan->blocks; block++) {
            const struct kind *kind = plan->kind_of[block];
            status |= take_two_blocks(kind, &one, &two, values, others);
            values += kind->quantizer ? 5 : 1;
            others += kind->quantizer ? 5 : 1;
        }
    }
    first->bits = one;
    second->lane.bits = two;
    status |= count_mcus(plan, first, taken);
    return status | count_mcus(plan, &second->lane, taken) << 2;
}

/* Fills the window if it may not have the whole next MCU. */
static void look_ahead(struct lane *lane)
{
    if (!lane->ended && lane->held < position_in_window(lane) / 8 + MCU_BYTES + AHEAD_BYTES)
        fill_window(lane);
}

/* Returns whether less than a byte is left before a marker: padding, F.1.2.3. */
static int is_segment_end(const struct lane *lane)
{
    return lane->ended && position_in_window(lane) + 7 >= lane->held * 8;
}

/* Passes a restart marker if one is due (E.2.4), so that the next MCU can be decoded. */
static int get_ready(const struct plan *plan, struct lane *lane)
{
    look_ahead(lane);
    if (!plan->restart_interval || lane->in_interval < plan->restart_interval)
        return EIGHTH_DONE;
    if (!is_segment_end(lane) || lane->marker != RST0 + lane->restarts)
        return EIGHTH_DAMAGED;
    lane->restarts = (lane->restarts + 1) & 7;
    begin_segment(lane, lane->raw + 2);
    return EIGHTH_DONE;
}

/* Decodes a lane up to this number of MCUs, with which its data must end. */
static int finish(const struct plan *plan, struct lane *lane, size_t mcus)
{
    while (lane->done < mcus) {
        TRY(get_ready(plan, lane));
        TRY(take_mcu(plan, lane));
    }
    look_ahead(lane);
    return lane->done == mcus && is_segment_end(lane) && lane->marker == EOI ? EIGHTH_DONE : EIGHTH_DAMAGED;
}

static void start_lane(struct lane *lane, const uint8_t *start, const uint8_t *end, int16_t *values)
{
    lane->raw_end = end;
    lane->bytes = lane->stop_bytes = 0;
    lane->restarts = 0;
    lane->stop = NULL;
    lane->done = 0;
    lane->values = values;
    begin_segment(lane, start);
}

/* Starts the second lane at a place from which it can decode; `from` is in the coded data. */
static void start_second(const struct plan *plan, struct second *second, struct lane *first, const uint8_t *from,
                         const uint8_t *end, int16_t *values)
{
    int restarts = 0;
    second->start = NULL;
    if (plan->restart_interval) {
        while (from < end && (from = memchr(from, 0xFF, (size_t)(end - from))) && end - from > 2 && from[1] == 0)
            from += 2;
        if (!from || end - from <= 2 || (from[1] & 0xF8) != RST0)
            return;
        restarts = (from[1] + 1) & 7;
        from += 2;
    } else {
        while (from < end && from[-1] == 0xFF) /* a stuffed zero follows */
            from++;
        if (from == end || from < first->raw)
            return;
        first->stop = from;
    }
    second->start = from;
    second->seen = 0;
    start_lane(&second->lane, from, end, values);
    second->lane.restarts = (uint32_t)restarts;
}

/* Returns whether all MCUs from the first lane's next one on are those of the second lane, from number `seen` on. */
static int lanes_meet(const struct plan *plan, const struct lane *first, struct second *second)
{
    if (plan->restart_interval)
        return first->in_interval == 0 && first->segment == second->start;
    if (first->stop || position(first) < first->stop_bytes * 8)
        return 0;
    uint64_t place = position(first) - first->stop_bytes * 8;
    size_t places = second->lane.done < MAX_PLACES ? second->lane.done : MAX_PLACES;
    while (second->seen < places && second->places[second->seen] < place)
        second->seen++;
    return second->seen < places && second->places[second->seen] == place;
}

/* Returns the number of MCUs that a lane can decode with what its window has, and without a restart. */
static size_t mcus_in_window(const struct plan *plan, const struct lane *lane)
{
    size_t held = lane->held - position_in_window(lane) / 8, mcus = held / plan->mcu_bytes;
    size_t rest = plan->restart_interval ? plan->restart_interval - lane->in_interval : mcus;
    return mcus < rest ? mcus : rest;
}

/* Returns how many MCUs both lanes decode without a look at where they are; both are ready for one. */
static size_t mcus_at_once(const struct plan *plan, const struct lane *first, const struct second *second)
{
    const struct lane *lane = &second->lane;
    size_t mcus = mcus_in_window(plan, first), others = mcus_in_window(plan, lane);
    size_t most = plan->mcus - (first->done > lane->done ? first->done : lane->done);
    mcus = mcus < others ? mcus : others;
    mcus = mcus < most ? mcus : most;
    return mcus && (first->stop || plan->restart_interval) ? mcus : 1;
}

/* Decodes all MCUs. `parts` has room for all values twice, but for the second lane only if there is one. */
static int take_all(const struct plan *plan, struct lane *first, struct second *second, const uint8_t *data,
                    const uint8_t *end, struct parts *parts)
{
    struct lane *lane = &second->lane;
    int16_t *spare = parts->second;
    parts->of_first = plan->mcus * plan->values;
    start_lane(first, data, end, parts->first);
    second->start = NULL;
    if (spare)
        start_second(plan, second, first, data + (end - data) / 2, end, spare);
    while (first->done < plan->mcus && second->start) {
        TRY(get_ready(plan, first));
        if (lanes_meet(plan, first, second)) {
            parts->of_first = first->done * plan->values;
            parts->second = spare + second->seen * plan->values;
            return finish(plan, lane, second->seen + plan->mcus - first->done);
        }
        look_ahead(lane);
        if (lane->done == plan->mcus || (is_segment_end(lane) && lane->marker == EOI)) {
            TRY(take_mcu(plan, first)); /* the second lane waits */
            continue;
        }
        int status = get_ready(plan, lane) << 2;
        if (status == EIGHTH_DONE)
            status = take_two_mcus(plan, first, second, mcus_at_once(plan, first, second));
        TRY(status & 3);
        if (status >> 2) /* its place was wrong, or the file is damaged */
            start_second(plan, second, first, lane->raw, end, spare);
    }
    return finish(plan, first, plan->mcus);
}

/* Returns where the coded data end: the next marker that is no restart. NULL if there is none. */
static const uint8_t *find_end(const uint8_t *data, const uint8_t *end)
{
    while (end - data > 1 && (data = memchr(data, 0xFF, (size_t)(end - data - 1)))) {
        if (data[1] != 0 && (data[1] & 0xF8) != RST0)
            return data;
        data += 2;
    }
    return NULL;
}

/* ---------------------------------------------------------------- pixels */

static size_t values_of_mcu(const struct header *header)
{
    size_t values = 0;
    for (uint32_t index = 0; index < header->count; index++)
        values += header->components[index].across * header->components[index].down *
                  (header->components[index].side == 2 ? 5 : 1);
    return values;
}

/* Samples of one row of MCUs. */
struct plane {
    uint8_t *samples;
    size_t across;           /* samples of a row */
    uint32_t step_x, step_y; /* pixels for each sample */
};

/* The DC coefficients whose samples are looked up are at most this far from 0, divided by the quantizer. No picture has
 * others: then a sample is 512 or more before it is clamped, and libjpeg does not clamp that. */
enum { MAX_DC = 8 * 512 - 5 };

/* A component while its samples are written. */
struct writer {
    uint32_t across, down, side;
    int32_t quantizer, wrong;
    uint32_t dc;   /* the sum of all coefficients up to now, which may wrap around: then others were wrong before */
    uint32_t most; /* the largest coefficient that is looked up */
    uint8_t samples[2 * MAX_DC + 1];
};

static inline uint8_t clamp(int32_t value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* Returns the sample of 8 times this level. Sets `wrong` if no picture has it: libjpeg does not clamp it then. */
static inline uint8_t to_sample(int32_t level, int32_t *wrong)
{
    level >>= 3;
    *wrong |= (level + 512) & ~1023;
    return clamp(level + 128);
}

/* Starts with a component. */
static void start_writer(struct writer *writer, const struct component *component, int32_t quantizer)
{
    writer->across = component->across;
    writer->down = component->down;
    writer->side = component->side;
    writer->quantizer = quantizer;
    writer->dc = 0;
    writer->wrong = 0;
    int32_t most = MAX_DC / (quantizer ? quantizer : 1);
    writer->most = (uint32_t)most;
    for (int32_t dc = -most; dc <= most; dc++)
        writer->samples[dc + most] = to_sample(dc * quantizer + 4, &writer->wrong);
}

/* Writes the samples of the blocks of one component in `mcus` MCUs side by side. `values` has `stride` numbers for each
 * MCU. `row` is the length of a row of samples. */
static inline void put_blocks(struct writer *writer, const int16_t *values, size_t stride, size_t mcus, uint8_t *samples,
                              size_t row, uint32_t across, uint32_t down, uint32_t side)
{
    uint32_t dc = writer->dc, most = writer->most;
    int32_t quantizer = writer->quantizer, wrong = 0;
    for (size_t mcu = 0; mcu < mcus; mcu++, values += stride, samples += across * side)
        for (uint32_t block = 0; block < across * down; block++) {
            const int16_t *from = values + block * (side == 2 ? 5 : 1);
            uint8_t *to = samples + block / across * side * row + block % across * side;
            dc += (uint32_t)from[0];
            uint32_t place = dc + most, beyond = place > 2 * most;
            wrong |= (int32_t)beyond;
            place = beyond ? 0 : place;
            if (side == 1) {
                to[0] = writer->samples[place];
            } else {
                int32_t level = ((int32_t)place - (int32_t)most) * quantizer;
                for (int index = 0; index < 4; index++)
                    to[(size_t)(index >> 1) * row + (index & 1)] = to_sample(level + from[1 + index], &wrong);
            }
        }
    writer->dc = dc;
    writer->wrong |= wrong;
}

/* The same. The common layouts are written out for the compiler. */
static void put_run(struct writer *writer, const int16_t *values, size_t stride, size_t mcus, uint8_t *samples, size_t row)
{
    uint32_t across = writer->across, down = writer->down, side = writer->side;
    if (across == 1 && down == 1 && side == 1)
        put_blocks(writer, values, stride, mcus, samples, row, 1, 1, 1);
    else if (across == 1 && down == 1)
        put_blocks(writer, values, stride, mcus, samples, row, 1, 1, 2);
    else if (across == 2 && down == 2 && side == 1)
        put_blocks(writer, values, stride, mcus, samples, row, 2, 2, 1);
    else
        put_blocks(writer, values, stride, mcus, samples, row, across, down, side);
}

/* JFIF (ITU-T T.871, clause 7), in the fixed-point numbers of libjpeg (jdcolor.c). The rows are replaced by red, green
 * and blue. */
static void to_rgb(uint8_t *restrict first, uint8_t *restrict second, uint8_t *restrict third, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        int32_t luma = first[x], blue = second[x] - 128, red = third[x] - 128;
        first[x] = clamp(luma + ((91881 * red + 32768) >> 16));
        second[x] = clamp(luma + ((-22554 * blue - 46802 * red + 32768) >> 16));
        third[x] = clamp(luma + ((116130 * blue + 32768) >> 16));
    }
}

/* Writes a row of pixels. `row` has the samples of each component, one for each pixel. */
static void put_row(const struct header *header, uint8_t *row, size_t width, uint8_t *pixels)
{
    uint32_t count = header->count;
    if (header->transform != AS_STORED)
        to_rgb(row, row + width, row + 2 * width, width);
    for (uint32_t index = 0; index < count; index++) {
        /* Inks are inverted. The red, green and blue of YCCK are inverted inks already. */
        uint8_t inverted = count == 4 && (header->transform == AS_STORED || index == 3) ? 255 : 0;
        for (size_t x = 0; x < width; x++)
            pixels[x * count + index] = row[index * width + x] ^ inverted;
    }
}

/* Writes the pixels of a row of MCUs, which begins with row `top` of the picture. `wide` has room for a row of pixels. */
static void put_pixels(const struct header *header, const struct plane *planes, uint32_t top, uint32_t width,
                       uint32_t height, uint8_t *wide, uint8_t *pixels)
{
    for (uint32_t y = 0; y < header->max_down && top + y < height; y++) {
        for (uint32_t index = 0; index < header->count; index++) {
            const struct plane *plane = &planes[index];
            const uint8_t *from = plane->samples + y / plane->step_y * plane->across;
            uint8_t *to = wide + (size_t)index * width;
            if (plane->step_x == 1)
                memcpy(to, from, width);
            else
                for (uint32_t x = 0; x < width; x++)
                    to[x] = from[x / plane->step_x];
        }
        put_row(header, wide, width, pixels + (size_t)(top + y) * width * header->count);
    }
}

/* Sums up the DC coefficients of all MCUs, and writes the pixels, one row of MCUs after the other. */
static int put_all(const struct header *header, const struct parts *parts, const struct plane *planes, uint32_t width,
                   uint32_t height, uint8_t *wide, uint8_t *pixels)
{
    struct writer writers[MAX_COMPONENTS];
    size_t interval = header->restart_interval ? header->restart_interval : SIZE_MAX, left = interval, done = 0;
    size_t stride = values_of_mcu(header), of_first = parts->of_first / stride;
    int32_t wrong = 0;
    for (uint32_t index = 0; index < header->count; index++) {
        const struct component *each = &header->components[index];
        int32_t quantizer = header->quantizers[each->quantizer][0] << header->shift;
        start_writer(&writers[index], each, quantizer);
    }
    for (uint32_t y = 0; y < header->mcus_down; y++) {
        for (size_t x = 0, run; x < header->mcus_across; x += run, left -= run, done += run) {
            if (!left) {
                left = interval;
                for (uint32_t index = 0; index < header->count; index++)
                    writers[index].dc = 0;
            }
            run = header->mcus_across - x < left ? header->mcus_across - x : left;
            if (done < of_first && of_first - done < run)
                run = of_first - done;
            const int16_t *from = done < of_first ? parts->first + done * stride : parts->second + (done - of_first) * stride;
            for (uint32_t index = 0; index < header->count; index++) {
                struct writer *each = &writers[index];
                uint8_t *to = planes[index].samples + x * each->across * each->side;
                put_run(each, from, stride, run, to, planes[index].across);
                from += each->across * each->down * (each->side == 2 ? 5 : 1);
            }
        }
        put_pixels(header, planes, y * header->max_down, width, height, wide, pixels);
    }
    for (uint32_t index = 0; index < header->count; index++)
        wrong |= writers[index].wrong;
    return wrong ? EIGHTH_DAMAGED : EIGHTH_DONE;
}

/* `parts` has the values of all MCUs. */
static int paint(const struct header *header, const struct parts *parts, uint32_t width, uint32_t height, uint8_t *pixels)
{
    struct plane planes[MAX_COMPONENTS];
    size_t sizes[MAX_COMPONENTS], total = 0;
    for (uint32_t index = 0; index < header->count; index++) {
        const struct component *component = &header->components[index];
        planes[index].across = (size_t)header->mcus_across * component->across * component->side;
        planes[index].step_x = header->max_across / (component->across * component->side);
        planes[index].step_y = header->max_down / (component->down * component->side);
        sizes[index] = planes[index].across * component->down * component->side;
        total += sizes[index];
    }
    uint8_t *samples = malloc(total + (size_t)width * header->count);
    if (!samples)
        return EIGHTH_NO_MEMORY;
    planes[0].samples = samples;
    for (uint32_t index = 1; index < header->count; index++)
        planes[index].samples = planes[index - 1].samples + sizes[index - 1];
    int status = put_all(header, parts, planes, width, height, samples + total, pixels);
    free(samples);
    return status;
}

/* ---------------------------------------------------------------- all of it */

/* Makes each block an MCU of its own if all are decoded in the same way. Then a lane cannot find out which of them it is at. */
static void merge_equal_blocks(struct plan *plan)
{
    for (uint32_t block = 0; block < plan->blocks; block++)
        if (plan->kind_of[block] != plan->kind_of[0] || plan->kind_of[block]->quantizer)
            return;
    plan->mcus *= plan->blocks;
    plan->restart_interval *= plan->blocks;
    plan->blocks = plan->values = 1;
}

/* Builds the tables for the blocks of a component, or finds those of one before with equal ones. */
static int make_kind(struct plan *plan, uint32_t index, const struct kind **found)
{
    const struct header *header = &plan->header;
    const struct component *own = &header->components[index];
    struct symbols *dc = &plan->symbols[0][own->dc], *ac = &plan->symbols[1][own->ac];
    int dc_built = 0, ac_built = 0, skips_built = 0;
    for (uint32_t other = 0; other < index; other++) {
        const struct component *each = &header->components[other];
        if (each->dc == own->dc && each->ac == own->ac && each->side == own->side && each->quantizer == own->quantizer) {
            *found = &plan->kinds[other];
            return EIGHTH_DONE;
        }
        dc_built |= each->dc == own->dc;
        ac_built |= each->ac == own->ac;
        skips_built |= each->ac == own->ac && each->side == 1;
    }
    struct kind *kind = &plan->kinds[index];
    kind->dc = dc;
    kind->ac = header->progressive ? NULL : ac;
    kind->skips = &plan->skips[own->ac];
    kind->quantizer = own->side == 2 ? header->quantizers[own->quantizer] : NULL;
    if (!dc_built)
        TRY(build_symbols(dc, &header->codes[0][own->dc]));
    if (!ac_built && kind->ac)
        TRY(build_symbols(ac, &header->codes[1][own->ac]));
    if (!skips_built && kind->ac && !kind->quantizer)
        build_skips(&plan->skips[own->ac], ac);
    if (kind->ac && kind->quantizer)
        build_values(&kind->values, ac);
    build_starts(kind);
    *found = kind;
    return EIGHTH_DONE;
}

static int make_plan(struct plan *plan)
{
    const struct header *header = &plan->header;
    plan->mcus = (size_t)header->mcus_across * header->mcus_down;
    plan->restart_interval = header->restart_interval;
    plan->blocks = plan->values = 0;
    for (uint32_t index = 0; index < header->count; index++) {
        const struct component *component = &header->components[index];
        const struct kind *kind = NULL;
        TRY(make_kind(plan, index, &kind));
        for (uint32_t block = 0; block < component->across * component->down; block++) {
            plan->kind_of[plan->blocks++] = kind;
            plan->values += kind->quantizer ? 5 : 1;
        }
    }
    merge_equal_blocks(plan);
    plan->mcu_bytes = plan->blocks * BLOCK_BITS / 8 + 1;
    return EIGHTH_DONE;
}

struct work {
    struct plan plan;
    struct lane first;
    struct second second;
};

/* Decodes the data and writes the pixels. `room` has room for the values of each lane. */
static int decode_data(struct work *work, const uint8_t *data, const uint8_t *end, int16_t *room[2], uint32_t width,
                       uint32_t height, uint8_t *pixels)
{
    struct parts parts = {room[0], room[1], 0};
    TRY(take_all(&work->plan, &work->first, &work->second, data, end, &parts));
    for (size_t stride = values_of_mcu(&work->plan.header); parts.of_first % stride; parts.of_first++)
        parts.first[parts.of_first] = *parts.second++; /* lanes may meet inside of an MCU: see merge_equal_blocks */
    return paint(&work->plan.header, &parts, width, height, pixels);
}

static int decode(struct work *work, const uint8_t *data, size_t size, uint32_t width, uint32_t height,
                  uint32_t channels, uint8_t *pixels, size_t *end)
{
    struct plan *plan = &work->plan;
    TRY(read_header(&plan->header, data, size));
    if ((plan->header.width + 7) / 8 != width || (plan->header.height + 7) / 8 != height ||
        plan->header.count != channels)
        return EIGHTH_UNSUPPORTED;
    TRY(make_plan(plan));
    if (plan->mcus > MAX_MCUS)
        return EIGHTH_UNSUPPORTED;
    const uint8_t *begin = data + plan->header.data, *marker = find_end(begin, data + size);
    if (!marker || marker[1] != EOI)
        return EIGHTH_DAMAGED;
    *end = (size_t)(marker - data);
    int has_lanes = marker - begin > MIN_BYTES_FOR_LANES && marker - begin < INT32_MAX / 8; /* places have 32 bits */
    size_t bytes = plan->mcus * plan->values * sizeof(int16_t);
    int16_t *room[2] = {malloc(bytes), has_lanes ? malloc(bytes) : NULL};
    int status = EIGHTH_NO_MEMORY;
    if (room[0] && (room[1] || !has_lanes))
        status = decode_data(work, begin, marker + 2, room, width, height, pixels);
    free(room[0]);
    free(room[1]);
    return status;
}

int eighth_decode(const uint8_t *data, size_t size, uint32_t width, uint32_t height, uint32_t channels, uint8_t *pixels,
                  size_t *end)
{
    struct work *work = malloc(sizeof *work);
    if (!work)
        return EIGHTH_NO_MEMORY;
    memset(&work->plan.header, 0, sizeof work->plan.header);
    int status = decode(work, data, size, width, height, channels, pixels, end);
    free(work);
    return status;
}
