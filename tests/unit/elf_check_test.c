/* SPDX-License-Identifier: MIT */
/* elf_check: files that dlopen must not see, and all those that it may. Every case is a copy of a plugin that the test
 * breaks in one place. */
#include "plugin/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../plugins/sandbox.h"

static bool check(const char *path, connpool_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_not_equal(descriptor, -1);
    bool good = cp_elf_check(descriptor, path, error);
    assert_int_equal(close(descriptor), 0);
    return good;
}

/* The content of a whole plugin, to be changed and checked. */
struct image {
    char *bytes;
    size_t size;
};

static struct image image_new(void)
{
    struct image image;
    image.bytes = sandbox_read(sandbox_built("good").text, &image.size);
    return image;
}

static ElfW(Ehdr) * header_of(struct image image)
{
    return (ElfW(Ehdr) *)image.bytes;
}

static ElfW(Phdr) * segment_of(struct image image, uint32_t type)
{
    ElfW(Phdr) *segments = (ElfW(Phdr) *)(image.bytes + header_of(image)->e_phoff);
    for (unsigned i = 0; i < header_of(image)->e_phnum; i++) {
        if (segments[i].p_type == type) {
            return &segments[i];
        }
    }
    fail_msg("no segment of type %u", type);
    return NULL;
}

/* Writes the image, checks it, frees it. */
static void assert_image_refused(const char *folder, struct image image, const char *const *words)
{
    struct sandbox_path path = sandbox_join(folder, "connpool_good.so");
    connpool_error error = {0};
    sandbox_write(path.text, image.bytes, image.size);
    free(image.bytes);
    assert_false(check(path.text, &error));
    assert_refused(&error, path.text);
    sandbox_assert_refused(&error, words);
}
#define assert_image(folder, image, ...) assert_image_refused(folder, image, (const char *const[]){__VA_ARGS__, NULL})

static void whole_plugin_is_accepted(void **state)
{
    connpool_error error = {0};
    (void)state;
    if (!check(sandbox_built("good").text, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(error.status, CONNPOOL_OK);
}

static int check_library(struct dl_phdr_info *info, size_t size, void *count)
{
    connpool_error error = {0};
    (void)size;
    if (info->dlpi_name[0] == '/') {
        if (!check(info->dlpi_name, &error)) {
            fail_msg("%s", error.text);
        }
        ++*(int *)count;
    }
    return 0;
}

/* What the dynamic linker loaded into this process is what it accepts. */
static void loaded_libraries_are_accepted(void **state)
{
    int count = 0;
    (void)state;
    (void)dl_iterate_phdr(check_library, &count);
    assert_true(count >= 2);
}

static void e2_file_that_is_not_elf_is_refused(void **state)
{
    static const struct {
        const char *content;
        size_t size;
        const char *words[3];
    } rows[] = {
        {"", 0, {"expected a shared object", "empty file"}},
        {"hello, world\n", 13, {"expected a shared object", "13 bytes"}},
        {"\x7f"
         "ELF",
         4,
         {"expected a shared object", "4 bytes"}},
        {"#!/bin/sh\necho this is a script and it is rather longer than an ELF header\n",
         74,
         {"not an ELF", "23 21 2f 62"}},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0\0"
         "\0\0\0\0\0\0\0",
         64,
         {"not an ELF", "00 00 00 00"}},
    };
    struct sandbox_path path = sandbox_join(*state, "connpool_good.so");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        connpool_error error = {0};
        sandbox_write(path.text, rows[i].content, rows[i].size);
        assert_false(check(path.text, &error));
        assert_refused(&error, path.text);
        sandbox_assert_refused(&error, rows[i].words);
    }
}

static void e2_file_of_another_type_is_refused(void **state)
{
    struct image image = image_new();
    header_of(image)->e_type = ET_REL;
    assert_image(*state, image, "ELF type", "expected 3", "found 1");
}

static void e3_another_machine_is_refused(void **state)
{
    struct image image = image_new();
    unsigned own = header_of(image)->e_machine;
    header_of(image)->e_machine = own == EM_ARM ? EM_386 : EM_ARM;
    assert_image(*state, image, "ELF machine", own == EM_X86_64 ? "expected 62 (x86-64), found 40 (ARM)" : "expected");
}

static void e3_another_class_is_refused(void **state)
{
    struct image image = image_new();
    header_of(image)->e_ident[EI_CLASS] = ELFCLASS32;
    assert_image(*state, image, "ELF class", "expected 64-bit, found 32-bit");
}

static void e3_another_byte_order_is_refused(void **state)
{
    struct image image = image_new();
    header_of(image)->e_ident[EI_DATA] = ELFDATA2MSB;
    assert_image(*state, image, "ELF byte order", "expected 1, found 2");
}

/* A file cut anywhere is refused: at every page, and in and around all headers. */
static void e4_truncated_file_is_refused(void **state)
{
    struct image image = image_new();
    struct sandbox_path path = sandbox_join(*state, "connpool_good.so");
    size_t last = image.size - 1;
    for (size_t size = 0; size <= last; size += size < 4096 ? 61 : size % 4096 != 0 ? 4096 - size % 4096 : 2048) {
        connpool_error error = {0};
        sandbox_write(path.text, image.bytes, size);
        assert_false(check(path.text, &error));
        assert_int_equal(error.status, CONNPOOL_PLUGIN_ERROR);
        if (size >= sizeof(ElfW(Ehdr))) {
            assert_refused(&error, "truncated", "bytes at offset", "found a file of");
        }
    }
    image.size = last;
    assert_image(*state, image, "truncated", "section headers");
}

static void e4_segment_beyond_the_file_is_refused(void **state)
{
    struct image image = image_new();
    segment_of(image, PT_LOAD)->p_filesz = image.size + 1;
    segment_of(image, PT_LOAD)->p_memsz = image.size + 1;
    assert_image(*state, image, "truncated", "load segment");

    image = image_new();
    segment_of(image, PT_LOAD)->p_offset = UINT64_MAX - 4095;
    assert_image(*state, image, "truncated", "load segment");
}

static void e4_segments_that_do_not_ascend_are_refused(void **state)
{
    struct image image = image_new();
    ElfW(Phdr) *first = segment_of(image, PT_LOAD);
    first->p_vaddr += UINT64_C(1) << 30;
    assert_image(*state, image, "load segment", "expected an address from");

    image = image_new();
    segment_of(image, PT_LOAD)->p_memsz = UINT64_MAX;
    segment_of(image, PT_LOAD)->p_vaddr += 4096;
    assert_image(*state, image, "load segment", "found address");
}

/* The loader maps what the file holds into room for what memory holds. */
static void e4_segment_larger_than_its_memory_is_refused(void **state)
{
    struct image image = image_new();
    segment_of(image, PT_LOAD)->p_memsz = segment_of(image, PT_LOAD)->p_filesz - 1;
    assert_image(*state, image, "load segment", "at most its memory size in the file");
}

static void e4_segment_that_shifts_within_a_page_is_refused(void **state)
{
    struct image image = image_new();
    segment_of(image, PT_LOAD)->p_vaddr += 8;
    assert_image(*state, image, "load segment", "equal within a page");
}

static void e4_odd_program_headers_are_refused(void **state)
{
    struct image image = image_new();
    header_of(image)->e_phentsize = 8;
    assert_image(*state, image, "program headers", "of 8 bytes");

    image = image_new();
    header_of(image)->e_phnum = 0;
    assert_image(*state, image, "program headers", "found 0");

    image = image_new();
    header_of(image)->e_phoff = UINT64_MAX;
    assert_image(*state, image, "truncated", "program headers");
}

static void e4_dynamic_section_must_be_there_and_inside(void **state)
{
    struct image image = image_new();
    segment_of(image, PT_DYNAMIC)->p_type = PT_NULL;
    assert_image(*state, image, "expected a dynamic section, found none");

    image = image_new();
    segment_of(image, PT_DYNAMIC)->p_vaddr += UINT64_C(1) << 32;
    assert_image(*state, image, "dynamic section", "found outside");

    image = image_new();
    segment_of(image, PT_DYNAMIC)->p_filesz = sizeof(ElfW(Dyn));
    assert_image(*state, image, "dynamic section", "expected an end mark");
}

static void e26_executable_stack_is_refused(void **state)
{
    struct image image = image_new();
    segment_of(image, PT_GNU_STACK)->p_flags |= PF_X;
    assert_image(*state, image, "stack", "expected not executable, found executable");

    image = image_new();
    segment_of(image, PT_GNU_STACK)->p_type = PT_NULL;
    assert_image(*state, image, "stack", "found no PT_GNU_STACK");
}

static void e26_text_relocations_are_refused(void **state)
{
    struct image image = image_new();
    ElfW(Dyn) *entry = (ElfW(Dyn) *)(image.bytes + segment_of(image, PT_DYNAMIC)->p_offset);
    entry->d_tag = DT_TEXTREL;
    assert_image(*state, image, "text relocations", "expected none");

    image = image_new();
    entry = (ElfW(Dyn) *)(image.bytes + segment_of(image, PT_DYNAMIC)->p_offset);
    while (entry->d_tag != DT_FLAGS) {
        assert_int_not_equal(entry->d_tag, DT_NULL);
        entry++;
    }
    entry->d_un.d_val |= DF_TEXTREL;
    assert_image(*state, image, "text relocations", "expected none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_plugin_is_accepted),
        cmocka_unit_test(loaded_libraries_are_accepted),
        cmocka_unit_test_setup_teardown(e2_file_that_is_not_elf_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e2_file_of_another_type_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e3_another_machine_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e3_another_class_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e3_another_byte_order_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_truncated_file_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_segment_beyond_the_file_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_segments_that_do_not_ascend_are_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_segment_larger_than_its_memory_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_segment_that_shifts_within_a_page_is_refused, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_odd_program_headers_are_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e4_dynamic_section_must_be_there_and_inside, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e26_executable_stack_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e26_text_relocations_are_refused, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
