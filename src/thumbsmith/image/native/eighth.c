/* See eighth.h. The parts of this file, in order: header, Huffman tables, coded data, blocks, pixels, lanes.
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
    LOOKUP_BITS = 12,
    ENTRIES = 1 << LOOKUP_BITS,
    MAX_AC_BITS = 10, /* of values: F.1.2.2 for 8 bits a sample */
    VALUE_BITS = 11,
    END_OF_BLOCK = 129, /* added to the coefficients that an entry passes: see is_possible */
    TAKE_ONE = 64,      /* in their place: the next symbol must be read alone */
};

/* A table to decode symbols one by one. An entry is length << 8 | symbol, 0 for longer codes and for none. */
struct symbols {
    uint16_t entries[1 << VALUE_BITS];
    uint32_t limits[17]; /* for each length: the first number that is no code, with 16 bits */
    uint32_t first[17];  /* the first code of that length, and its index in `symbols` */
    uint32_t index[17];
    uint8_t symbols[256];
};

/* Tables tell what to do for the next bits. An entry is passed coefficients << 23 | value << 7 | bits.
 *
 * A table for the beginning of a block has the value of DC. It passes what follows in these bits, often all of the block,
 * and begins to count at -63. A table for the rest of a block passes as many symbols as possible; or, for blocks of 2 x 2
 * samples, one with its value. */
static uint32_t make_entry(int32_t value, int32_t passed, uint32_t bits)
{
    return (uint32_t)passed << 23 | ((uint32_t)value & 0xFFFF) << 7 | bits;
}

static inline int32_t passed_by(uint32_t entry) { return (int32_t)entry >> 23; }
static inline int32_t value_of(uint32_t entry) { return (int16_t)(entry >> 7); }
static inline uint32_t bits_of(uint32_t entry) { return entry & 127; }

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
        return make_entry(0, TAKE_ONE, 0);
    return make_entry(0, size || run ? (int32_t)run + 1 : END_OF_BLOCK, length + size);
}

/* Skips whole symbols after the first `bits` bits of a window, and `passed` coefficients. Of the last symbol, the value
 * may be outside of the window. */
static uint32_t skip_in_window(const struct symbols *symbols, uint32_t window, int32_t value, uint32_t bits)
{
    int32_t before = bits ? 1 - COEFFICIENTS : 0, passed = 0;
    while (bits < LOOKUP_BITS && passed < END_OF_BLOCK) {
        uint32_t symbol = find_symbol(symbols, window << bits << (16 - LOOKUP_BITS) & 0xFFFF);
        uint32_t step = skip_one(symbol);
        int32_t next = passed + passed_by(step);
        if (bits + (symbol >> 8) > LOOKUP_BITS || passed_by(step) == TAKE_ONE || next % END_OF_BLOCK >= TAKE_ONE)
            break;
        bits += bits_of(step);
        passed = next;
    }
    return bits ? make_entry(value, before + passed, bits) : make_entry(0, TAKE_ONE, 0);
}

/* The same for a block whose coefficients have values that are needed. */
static uint32_t end_in_window(const struct symbols *symbols, uint32_t window, int32_t value, uint32_t bits)
{
    uint32_t symbol = find_symbol(symbols, window << bits << (16 - LOOKUP_BITS) & 0xFFFF), end = bits + (symbol >> 8);
    int ends = symbol && !(symbol & 255) && end <= LOOKUP_BITS;
    return make_entry(value, 1 - COEFFICIENTS + (ends ? END_OF_BLOCK : 0), ends ? end : bits);
}

static void build_values(uint32_t *to, const struct symbols *symbols)
{
    for (uint32_t window = 0; window < ENTRIES; window++) {
        uint32_t symbol = find_symbol(symbols, window << (16 - LOOKUP_BITS)), size = symbol & 15;
        uint32_t step = skip_one(symbol), length = bits_of(step);
        int fits = passed_by(step) != TAKE_ONE && length <= LOOKUP_BITS;
        int32_t value = fits ? extend(window >> (LOOKUP_BITS - length) & ((1U << size) - 1), size) : 0;
        to[window] = fits ? make_entry(value, passed_by(step), length) : make_entry(0, TAKE_ONE, 0);
    }
}

static void build_skips(uint32_t *to, const struct symbols *symbols)
{
    for (uint32_t window = 0; window < ENTRIES; window++)
        to[window] = skip_in_window(symbols, window, 0, 0);
}

/* How the blocks of a component are decoded. */
struct kind {
    const struct symbols *dc, *ac; /* no `ac` in a progressive scan */
    const uint16_t *quantizer;     /* for blocks of 2 x 2 samples, else NULL */
    uint32_t start, rest;          /* numbers of tables */
};

static void build_starts(uint32_t *to, const struct kind *kind)
{
    for (uint32_t window = 0; window < ENTRIES; window++) {
        uint32_t symbol = find_symbol(kind->dc, window << (16 - LOOKUP_BITS)), size = symbol & 255;
        uint32_t bits = (symbol >> 8) + size;
        to[window] = make_entry(0, TAKE_ONE, 0);
        if (!symbol || size > MAX_DC_BITS || bits > LOOKUP_BITS)
            continue;
        int32_t value = extend(window >> (LOOKUP_BITS - bits) & ((1U << size) - 1), size);
        if (!kind->ac)
            to[window] = make_entry(value, 1 - COEFFICIENTS + END_OF_BLOCK, bits);
        else if (kind->quantizer)
            to[window] = end_in_window(kind->ac, window, value, bits);
        else
            to[window] = skip_in_window(kind->ac, window, value, bits);
    }
}

/* ---------------------------------------------------------------- coded data (B.1.1.5, F.1.2.3) */

#ifndef WINDOW_BYTES /* tests have many small windows */
#define WINDOW_BYTES (16 << 10)
#endif
#ifndef ROUNDS /* and few rounds */
#define ROUNDS 1024
#endif

enum {
    /* The longest block and MCU: for each coefficient a code of 16 bits and a value. */
    BLOCK_BITS = 16 + MAX_DC_BITS + (COEFFICIENTS - 1) * (16 + MAX_AC_BITS),
    MCU_BYTES = MAX_BLOCKS * BLOCK_BITS / 8 + 1,
    AHEAD_BYTES = 16, /* of reading */
    NO_MARKER = 0,
    STEPS = 3,        /* of a round */
    ROUND_BYTES = 9,  /* of coded data that a round takes at most */
    LOG_ENTRIES = ROUNDS * STEPS + MAX_BLOCKS * COEFFICIENTS + 1,
};

/* Where a lane is, in the window and in the MCU. */
struct cursor {
    uint64_t at;    /* in bits of the window */
    uint32_t state; /* see make_state */
    uint32_t left;  /* coefficients of the block << 23, negative; 0 at its beginning */
    uint32_t *log;  /* for the next entry */
};

/* A lane decodes MCUs one after the other, from some place in the coded data on. Its window has the next bytes without
 * the zeros that are stuffed behind FF. */
struct lane {
    struct cursor cursor;
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
    int16_t *values;              /* where those of the next MCU are written */
    uint32_t log[LOG_ENTRIES];    /* entries with values, since the beginning of an MCU */
    uint8_t window[WINDOW_BYTES + MCU_BYTES + AHEAD_BYTES];
};

static inline uint64_t be64(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 | (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
           (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 | (uint64_t)bytes[6] << 8 | bytes[7];
}

/* Returns the next bits, from the highest one on: at least 57. */
static inline uint64_t bits_at(const uint8_t *window, uint64_t at) { return be64(window + at / 8) << at % 8; }

/* Returns the place of the next bit, in bits since the lane began. */
static uint64_t position(const struct lane *lane) { return (lane->bytes - lane->held) * 8 + lane->cursor.at; }

/* Moves the window to the next bit, and fills it. Behind the last byte of coded data there are zeros. */
static void fill_window(struct lane *lane)
{
    size_t at = lane->cursor.at, held = lane->held - at / 8;
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
    lane->cursor.at = at % 8;
}

/* Begins at `raw`, with an empty window. */
static void begin_segment(struct lane *lane, const uint8_t *raw)
{
    lane->raw = lane->segment = raw;
    lane->held = 0;
    lane->ended = 0;
    lane->in_interval = 0;
    lane->cursor.at = 0;
    fill_window(lane);
}

/* ---------------------------------------------------------------- blocks (F.2.2)

 * A step looks up the next bits in a table. What comes next depends on whether the block ends with that. The processor
 * would guess this wrong often, so that it is computed without a branch: both possible states are known before. */

/* A state is keep << 24 | block of the MCU << 16 | place of its table. `keep` is 1 if the log keeps the entries of the
 * table. */
static inline uint32_t make_state(uint32_t table, uint32_t block, uint32_t keep)
{
    return keep << 24 | block << 16 | table * ENTRIES;
}

static inline uint32_t state_table(uint32_t state) { return state & 0xFFFF; }
static inline uint32_t state_block(uint32_t state) { return state >> 16 & 255; }
static inline uint32_t state_keep(uint32_t state) { return state >> 24; }

/* What all lanes share. */
struct plan {
    struct header header;
    size_t mcus;
    uint32_t restart_interval; /* in MCUs; 0 for none */
    uint32_t blocks, values; /* of an MCU: blocks; a number for each, 5 for one of 2 x 2 samples */
    uint32_t begin; /* the state at the beginning of an MCU */
    uint32_t next[MAX_BLOCKS], change[MAX_BLOCKS]; /* the state after a block; to change to get that for its rest */
    const struct kind *kind_of[MAX_BLOCKS];
    struct kind kinds[MAX_COMPONENTS];
    struct symbols symbols[2][4];
    uint32_t tables[2 * MAX_COMPONENTS * ENTRIES];
};

static void build_states(struct plan *plan)
{
    for (uint32_t block = 0; block < plan->blocks; block++) {
        const struct kind *kind = plan->kind_of[block];
        uint32_t following = (block + 1) % plan->blocks;
        uint32_t rest = make_state(kind->rest, block, kind->quantizer != NULL);
        uint32_t next = make_state(plan->kind_of[following]->start, following, 1);
        plan->next[block] = next;
        plan->change[block] = rest ^ next;
    }
    plan->begin = make_state(plan->kind_of[0]->start, 0, 1);
}

/* Returns ones if the highest bit is 1, else 0. A compiler that knows what this is makes a branch of it. */
static inline uint32_t spread_sign(uint32_t number)
{
    int32_t mask = (int32_t)number >> 31;
#if defined(__GNUC__)
    __asm__("" : "+r"(mask));
#endif
    return (uint32_t)mask;
}

/* Continues with an entry, to the next block if this one ends. */
static inline void take_entry(const struct plan *plan, struct cursor *cursor, uint32_t entry)
{
    uint32_t block = state_block(cursor->state), left = cursor->left + entry, unfinished = spread_sign(left);
    *cursor->log = entry;
    cursor->log += state_keep(cursor->state);
    cursor->state = plan->next[block] ^ (plan->change[block] & unfinished);
    cursor->left = left & unfinished & ~0U << 23;
}

/* Returns whether a block can go on from this sum of its coefficients left and an entry: -63 to 0, or with END_OF_BLOCK -63
 * to -1. These less 1 have bit 6. All others have not: too many coefficients, an end behind the last one, TAKE_ONE. */
static inline int is_possible(uint32_t left) { return (int)((left - (1 << 23)) >> 29 & 1); }

/* Takes a step with the highest of these bits, and adds the entry to `sum`. Returns 1 and does nothing if that needs
 * `take_symbol`. */
static inline int take_step(const struct plan *plan, struct cursor *cursor, uint64_t *bits, uint32_t *sum)
{
    uint32_t entry = plan->tables[state_table(cursor->state) + (*bits >> (64 - LOOKUP_BITS))];
    if (!is_possible(cursor->left + entry))
        return 1;
    *bits <<= entry & 63;
    *sum += entry;
    take_entry(plan, cursor, entry);
    return 0;
}

/* Takes a single symbol. */
static int take_symbol(const struct plan *plan, struct lane *lane)
{
    struct cursor *cursor = &lane->cursor;
    const struct kind *kind = plan->kind_of[state_block(cursor->state)];
    int at_start = state_table(cursor->state) == kind->start * ENTRIES;
    uint64_t bits = bits_at(lane->window, cursor->at);
    uint32_t symbol = find_symbol(at_start ? kind->dc : kind->ac, (uint32_t)(bits >> 48)), size = symbol & 15;
    int32_t passed = at_start ? 1 - COEFFICIENTS + (kind->ac ? 0 : END_OF_BLOCK) : passed_by(skip_one(symbol));
    if (!symbol || (at_start && (symbol & 255) > MAX_DC_BITS) || passed == TAKE_ONE)
        return EIGHTH_DAMAGED;
    int32_t value = extend((uint32_t)(bits << (symbol >> 8) >> 1 >> (63 - size)), size);
    uint32_t entry = make_entry(value, passed, 0);
    if (!is_possible(cursor->left + entry))
        return EIGHTH_DAMAGED;
    cursor->at += (symbol >> 8) + size;
    take_entry(plan, cursor, entry);
    return EIGHTH_DONE;
}

/* Takes a step or a symbol. */
static int take_any(const struct plan *plan, struct lane *lane)
{
    uint64_t bits = bits_at(lane->window, lane->cursor.at);
    uint32_t sum = 0;
    int stops = take_step(plan, &lane->cursor, &bits, &sum);
    lane->cursor.at += sum & 127;
    return stops ? take_symbol(plan, lane) : EIGHTH_DONE;
}

/* Takes up to this number of rounds. Returns how many are left if a lane needs `take_symbol`, and 0 else. */
static size_t take_rounds(const struct plan *plan, struct lane *lane, size_t rounds)
{
    struct cursor one = lane->cursor; /* in registers */
    for (; rounds; rounds--) {
        uint64_t bits = bits_at(lane->window, one.at);
        uint32_t sum = 0;
        int stops = take_step(plan, &one, &bits, &sum) || take_step(plan, &one, &bits, &sum) ||
                    take_step(plan, &one, &bits, &sum);
        one.at += sum & 127;
        if (stops)
            break;
    }
    lane->cursor = one;
    return rounds;
}

/* Takes a step of both lanes. Returns 1 or 2 if the first or the second one needs `take_symbol`, else 0. */
static inline int take_two_steps(const struct plan *plan, struct cursor *one, struct cursor *two, uint64_t bits[2],
                                 uint32_t sums[2])
{
    if (take_step(plan, one, &bits[0], &sums[0]))
        return 1;
    return take_step(plan, two, &bits[1], &sums[1]) ? 2 : 0;
}

/* The same for two lanes: the processor works on one while it waits for the table of the other. `which` is set to the
 * lane that needs `take_symbol`, 1 or 2. */
static size_t take_two_rounds(const struct plan *plan, struct lane *first, struct lane *second, size_t rounds,
                              int *which)
{
    struct cursor one = first->cursor, two = second->cursor; /* in registers */
    for (; rounds; rounds--) {
        uint64_t bits[2] = {bits_at(first->window, one.at), bits_at(second->window, two.at)};
        uint32_t sums[2] = {0, 0};
        int stops = take_two_steps(plan, &one, &two, bits, sums);
        if (!stops)
            stops = take_two_steps(plan, &one, &two, bits, sums);
        if (!stops)
            stops = take_two_steps(plan, &one, &two, bits, sums);
        one.at += sums[0] & 127;
        two.at += sums[1] & 127;
        if (stops) {
            *which = stops;
            break;
        }
    }
    first->cursor = one;
    second->cursor = two;
    return rounds;
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

/* Writes the values of a block of 2 x 2 samples. `log` has its entries. Returns their number, 0 for damage. */
static size_t put_samples(const uint16_t *quantizer, const uint32_t *log, int16_t samples[4])
{
    int32_t left = passed_by(log[0]);
    size_t count = 1;
    if (left >= 0) {
        memcpy(samples, FLAT, sizeof FLAT);
        return count;
    }
    int32_t coefficients[NOT_NEEDED + 1] = {0};
    while (left < 0) {
        uint32_t entry = log[count++];
        left += passed_by(entry);
        uint32_t index = (uint32_t)(left + COEFFICIENTS - 1);
        coefficients[PLACES[index]] = value_of(entry) * quantizer[index % COEFFICIENTS];
    }
    return transform_block(coefficients, samples) == EIGHTH_DONE ? count : 0;
}

/* Writes the values of the MCUs in the log, and empties it. */
static int put_values(const struct plan *plan, struct lane *lane)
{
    const uint32_t *log = lane->log, *end = lane->cursor.log;
    int16_t *values = lane->values;
    if (plan->values == plan->blocks) {
        for (; log < end; log++)
            *values++ = (int16_t)value_of(*log);
    }
    while (log < end) {
        for (uint32_t block = 0; block < plan->blocks; block++) {
            const struct kind *kind = plan->kind_of[block];
            size_t count = 1;
            *values++ = (int16_t)value_of(*log);
            if (kind->quantizer) {
                count = put_samples(kind->quantizer, log, values);
                if (!count)
                    return EIGHTH_DAMAGED;
                values += 4;
            }
            log += count;
        }
    }
    size_t mcus = (size_t)(values - lane->values) / plan->values;
    lane->cursor.log = lane->log;
    lane->values = values;
    lane->in_interval += (uint32_t)mcus;
    lane->done += mcus;
    return lane->ended && lane->cursor.at > lane->held * 8 ? EIGHTH_DAMAGED : EIGHTH_DONE;
}

/* Continues to the end of the MCU. */
static int end_mcu(const struct plan *plan, struct lane *lane)
{
    while (lane->cursor.state != plan->begin)
        TRY(take_any(plan, lane));
    return put_values(plan, lane);
}

/* ---------------------------------------------------------------- pixels */

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

/* A picture while it is painted, MCU by MCU. */
struct painter {
    const struct header *header;
    size_t stride; /* values of an MCU */
    uint32_t x, y, width, height;
    size_t left; /* MCUs up to the next restart */
    struct writer writers[MAX_COMPONENTS];
    struct plane planes[MAX_COMPONENTS];
    uint8_t *wide; /* room for a row of pixels */
    uint8_t *pixels;
    int16_t values[5 * LOG_ENTRIES + 5 * MAX_BLOCKS]; /* to be painted */
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

/* Writes the pixels of a row of MCUs. */
static void put_pixels(const struct painter *painter)
{
    const struct header *header = painter->header;
    uint32_t top = painter->y * header->max_down, width = painter->width;
    for (uint32_t y = 0; y < header->max_down && top + y < painter->height; y++) {
        for (uint32_t index = 0; index < header->count; index++) {
            const struct plane *plane = &painter->planes[index];
            const uint8_t *from = plane->samples + y / plane->step_y * plane->across;
            uint8_t *to = painter->wide + (size_t)index * width;
            if (plane->step_x == 1)
                memcpy(to, from, width);
            else
                for (uint32_t x = 0; x < width; x++)
                    to[x] = from[x / plane->step_x];
        }
        put_row(header, painter->wide, width, painter->pixels + (size_t)(top + y) * width * header->count);
    }
}

/* Allocates the samples of a row of MCUs. */
static int start_painter(struct painter *painter, const struct header *header, uint32_t width, uint32_t height,
                         uint8_t *pixels)
{
    size_t sizes[MAX_COMPONENTS], total = 0;
    painter->header = header;
    painter->x = painter->y = 0;
    painter->stride = painter->left = 0;
    painter->width = width;
    painter->height = height;
    painter->pixels = pixels;
    for (uint32_t index = 0; index < header->count; index++) {
        const struct component *component = &header->components[index];
        struct plane *plane = &painter->planes[index];
        plane->across = (size_t)header->mcus_across * component->across * component->side;
        plane->step_x = header->max_across / (component->across * component->side);
        plane->step_y = header->max_down / (component->down * component->side);
        sizes[index] = plane->across * component->down * component->side;
        total += sizes[index];
        painter->stride += component->across * component->down * (component->side == 2 ? 5 : 1);
        start_writer(&painter->writers[index], component, header->quantizers[component->quantizer][0] << header->shift);
    }
    painter->wide = malloc(total + (size_t)width * header->count);
    if (!painter->wide)
        return EIGHTH_NO_MEMORY;
    painter->planes[0].samples = painter->wide + (size_t)width * header->count;
    for (uint32_t index = 1; index < header->count; index++)
        painter->planes[index].samples = painter->planes[index - 1].samples + sizes[index - 1];
    return EIGHTH_DONE;
}

/* Sums up the DC coefficients of the next MCUs, and writes the pixels of each row of MCUs that is complete. */
static void paint_mcus(struct painter *painter, const int16_t *values, size_t mcus)
{
    const struct header *header = painter->header;
    for (size_t run; mcus; mcus -= run, painter->left -= run, values += (run - 1) * painter->stride) {
        if (!painter->left) {
            painter->left = header->restart_interval ? header->restart_interval : SIZE_MAX;
            for (uint32_t index = 0; index < header->count; index++)
                painter->writers[index].dc = 0;
        }
        run = header->mcus_across - painter->x;
        run = run < mcus ? run : mcus;
        run = run < painter->left ? run : painter->left;
        for (uint32_t index = 0; index < header->count; index++) {
            struct writer *each = &painter->writers[index];
            const struct plane *plane = &painter->planes[index];
            uint8_t *to = plane->samples + (size_t)painter->x * each->across * each->side;
            put_run(each, values, painter->stride, run, to, plane->across);
            values += each->across * each->down * (each->side == 2 ? 5 : 1);
        }
        painter->x += (uint32_t)run;
        if (painter->x == header->mcus_across) {
            put_pixels(painter);
            painter->x = 0;
            painter->y++;
        }
    }
}

/* Paints the values up to `end`. Returns where to write the next ones, behind those of an incomplete MCU. */
static int16_t *paint(struct painter *painter, const int16_t *end)
{
    size_t count = (size_t)(end - painter->values), rest = count % painter->stride;
    paint_mcus(painter, painter->values, count / painter->stride);
    memmove(painter->values, end - rest, rest * sizeof *end);
    return painter->values + rest;
}

/* Paints the last ones: those up to `end`, which may begin an MCU, and `count` other ones. */
static void paint_rest(struct painter *painter, int16_t *end, const int16_t *values, size_t count)
{
    size_t begun = (size_t)(end - painter->values), first = begun ? painter->stride - begun : 0;
    memcpy(end, values, first * sizeof *end);
    paint(painter, end + first);
    paint_mcus(painter, values + first, (count - first) / painter->stride);
}

/* Frees memory. Returns whether all samples are what libjpeg computes. */
static int end_painter(struct painter *painter)
{
    int32_t wrong = 0;
    for (uint32_t index = 0; index < painter->header->count; index++)
        wrong |= painter->writers[index].wrong;
    free(painter->wide);
    return wrong ? EIGHTH_DAMAGED : EIGHTH_DONE;
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

enum { MAX_PLACES = 512 }; /* photographs need less than 10 */

/* The second lane, and the places where its first MCUs begin, in bits. */
struct second {
    struct lane lane;
    const uint8_t *start; /* NULL if there is no second lane */
    uint32_t places[MAX_PLACES];
    size_t seen; /* of these places the first lane is behind */
};

/* Decodes the next MCU of a lane that is ready. */
static int take_mcu(const struct plan *plan, struct lane *lane)
{
    TRY(take_any(plan, lane));
    return end_mcu(plan, lane);
}

/* Fills the window if it may not have the whole next MCU. */
static void look_ahead(struct lane *lane)
{
    if (!lane->ended && lane->held < lane->cursor.at / 8 + MCU_BYTES + AHEAD_BYTES)
        fill_window(lane);
}

/* Returns whether less than a byte is left before a marker: padding, F.1.2.3. */
static int is_segment_end(const struct lane *lane) { return lane->ended && lane->cursor.at + 7 >= lane->held * 8; }

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

/* Returns how many rounds a lane that is ready can take before it must look at where it is. */
static size_t rounds_at_once(const struct plan *plan, const struct lane *lane, size_t mcus)
{
    size_t held = lane->held - lane->cursor.at / 8, reserve = lane->ended ? AHEAD_BYTES : MCU_BYTES + AHEAD_BYTES;
    size_t left = plan->restart_interval ? plan->restart_interval - lane->in_interval : mcus - lane->done;
    size_t rounds = held > reserve ? (held - reserve) / ROUND_BYTES : 0;
    left = (left < mcus - lane->done ? left : mcus - lane->done) * plan->blocks / STEPS;
    rounds = rounds < left ? rounds : left;
    return rounds < ROUNDS ? rounds : ROUNDS;
}

/* Decodes MCUs of a lane that is ready, in this number of rounds, at least one MCU. */
static int take_mcus(const struct plan *plan, struct lane *lane, size_t rounds)
{
    if (!rounds)
        return take_mcu(plan, lane);
    while ((rounds = take_rounds(plan, lane, rounds))) {
        TRY(take_symbol(plan, lane));
        rounds--;
    }
    return end_mcu(plan, lane);
}

/* The same for two lanes. The status of the second one is two bits higher. */
static int take_mcus_of_two(const struct plan *plan, struct lane *first, struct lane *second, size_t rounds)
{
    int which = 0;
    while ((rounds = take_two_rounds(plan, first, second, rounds, &which))) {
        int status = take_symbol(plan, which == 1 ? first : second);
        if (status != EIGHTH_DONE)
            return which == 1 ? status : status << 2 | end_mcu(plan, first);
        rounds--;
    }
    int status = end_mcu(plan, first);
    return status | end_mcu(plan, second) << 2;
}

/* Decodes a lane up to this number of MCUs, with which its data must end. Paints them if there is a painter. */
static int finish(const struct plan *plan, struct lane *lane, size_t mcus, struct painter *painter)
{
    while (lane->done < mcus) {
        TRY(get_ready(plan, lane));
        TRY(take_mcus(plan, lane, rounds_at_once(plan, lane, mcus)));
        if (painter)
            lane->values = paint(painter, lane->values);
    }
    look_ahead(lane);
    return lane->done == mcus && is_segment_end(lane) && lane->marker == EOI ? EIGHTH_DONE : EIGHTH_DAMAGED;
}

static void start_lane(const struct plan *plan, struct lane *lane, const uint8_t *start, const uint8_t *end,
                       int16_t *values)
{
    lane->raw_end = end;
    lane->bytes = lane->stop_bytes = 0;
    lane->restarts = 0;
    lane->stop = NULL;
    lane->done = 0;
    lane->values = values;
    lane->cursor = (struct cursor){0, plan->begin, 0, lane->log};
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
        if (end - from < 2 || from < first->raw || (from[0] == 0xFF && from[1] != 0))
            return; /* a marker: nothing else may follow the data */
        first->stop = from;
    }
    second->start = from;
    second->seen = 0;
    start_lane(plan, &second->lane, from, end, values);
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
    /* A lane has room for all MCUs, and not for more that it decoded from a wrong place. */
    return second->seen < places && second->places[second->seen] == place && second->seen <= first->done;
}

/* Decodes MCUs of both lanes, or of one. The first one is ready. The status of the second one is two bits higher. */
static int take_some(const struct plan *plan, struct lane *first, struct second *second)
{
    struct lane *lane = &second->lane;
    size_t rounds = rounds_at_once(plan, first, plan->mcus);
    if (!plan->restart_interval && !first->stop) { /* not beyond the place where they may meet */
        uint64_t stop = first->stop_bytes * 8, here = position(first);
        uint64_t before = here < stop ? (stop - here) / (ROUND_BYTES * 8) : 0;
        rounds = rounds < before ? rounds : before;
    }
    look_ahead(lane);
    if (lane->done == plan->mcus || (is_segment_end(lane) && lane->marker == EOI))
        return take_mcus(plan, first, rounds); /* the second lane waits */
    int status = get_ready(plan, lane);
    if (status != EIGHTH_DONE)
        return status << 2;
    if (!plan->restart_interval && lane->done < MAX_PLACES) {
        second->places[lane->done] = (uint32_t)position(lane);
        return take_mcu(plan, lane) << 2;
    }
    size_t others = rounds_at_once(plan, lane, plan->mcus);
    if (!rounds)
        return take_mcu(plan, first);
    if (!others)
        return take_mcu(plan, lane) << 2;
    return take_mcus_of_two(plan, first, lane, rounds < others ? rounds : others);
}

/* Decodes and paints all MCUs. `room` is for the values of the second lane, of all MCUs; NULL if there is no such lane. */
static int take_all(const struct plan *plan, struct lane *first, struct second *second, struct painter *painter,
                    const uint8_t *data, const uint8_t *end, int16_t *room)
{
    struct lane *lane = &second->lane;
    start_lane(plan, first, data, end, painter->values);
    second->start = NULL;
    if (room)
        start_second(plan, second, first, data + (end - data) / 2, end, room);
    while (first->done < plan->mcus && second->start) {
        TRY(get_ready(plan, first));
        if (lanes_meet(plan, first, second)) {
            TRY(finish(plan, lane, second->seen + plan->mcus - first->done, NULL));
            room += second->seen * plan->values;
            paint_rest(painter, first->values, room, (plan->mcus - first->done) * plan->values);
            return EIGHTH_DONE;
        }
        if (second->seen == MAX_PLACES)
            break; /* the lanes do not meet */
        int status = take_some(plan, first, second);
        TRY(status & 3);
        if (status >> 2) /* its place was wrong, or the file is damaged */
            start_second(plan, second, first, lane->raw, end, room);
        first->values = paint(painter, first->values);
    }
    return finish(plan, first, plan->mcus, painter);
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
    int dc_built = 0, ac_built = 0;
    uint32_t skips_from = index;
    for (uint32_t other = 0; other < index; other++) {
        const struct component *each = &header->components[other];
        if (each->dc == own->dc && each->ac == own->ac && each->side == own->side && each->quantizer == own->quantizer) {
            *found = &plan->kinds[other];
            return EIGHTH_DONE;
        }
        dc_built |= each->dc == own->dc;
        ac_built |= each->ac == own->ac;
        if (each->ac == own->ac && each->side == 1 && skips_from == index)
            skips_from = other;
    }
    struct kind *kind = &plan->kinds[index];
    kind->dc = dc;
    kind->ac = header->progressive ? NULL : ac;
    kind->quantizer = own->side == 2 ? header->quantizers[own->quantizer] : NULL;
    kind->start = index;
    kind->rest = MAX_COMPONENTS + (skips_from < index && own->side == 1 ? skips_from : index);
    if (!dc_built)
        TRY(build_symbols(dc, &header->codes[0][own->dc]));
    if (!ac_built && kind->ac)
        TRY(build_symbols(ac, &header->codes[1][own->ac]));
    if (kind->ac && kind->quantizer)
        build_values(plan->tables + kind->rest * ENTRIES, ac);
    else if (kind->ac && kind->rest == MAX_COMPONENTS + index)
        build_skips(plan->tables + kind->rest * ENTRIES, ac);
    build_starts(plan->tables + kind->start * ENTRIES, kind);
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
    build_states(plan);
    return EIGHTH_DONE;
}

struct work {
    struct plan plan;
    struct painter painter;
    struct lane first;
    struct second second;
};

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
    int16_t *room = has_lanes ? malloc(plan->mcus * plan->values * sizeof *room) : NULL;
    int status = has_lanes && !room ? EIGHTH_NO_MEMORY : EIGHTH_DONE;
    if (status == EIGHTH_DONE)
        status = start_painter(&work->painter, &plan->header, width, height, pixels);
    if (status == EIGHTH_DONE) {
        status = take_all(plan, &work->first, &work->second, &work->painter, begin, marker + 2, room);
        status |= end_painter(&work->painter);
    }
    free(room);
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
