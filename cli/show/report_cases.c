#include "report_cases.h"

#include <string.h>

#include "markup.h"
#include "report_words.h"
#include "terminal/say.h"

static void case_name(const struct finding *finding, char text[CONNECTION_TEXT_SIZE + 64]) {
    char connection[CONNECTION_TEXT_SIZE];
    connection_text(finding->endpoint, connection);
    snprintf(text, CONNECTION_TEXT_SIZE + 64, "%s %s", finding_name(finding->kind), connection);
}

static void junit_case(const struct finding *finding, FILE *out) {
    char name[CONNECTION_TEXT_SIZE + 64], comm[COMM_SIZE + 1], sentence[SENTENCE_SIZE];
    case_name(finding, name);
    snprintf(comm, sizeof comm, "%.*s", COMM_SIZE, finding->comm);
    fputs("  <testcase classname=\"closetrace.", out);
    markup_print(out, comm);
    fputs("\" name=\"", out);
    markup_print(out, name);
    fputs("\">\n", out);
    const bool failed = finding->certainty == CERTAIN;
    fprintf(out, failed ? "    <failure type=\"%s\" message=\"" : "    <system-out>", finding_name(finding->kind));
    if (failed) {
        markup_print(out, finding->evidence_count ? finding->evidence[0] : name);
        fputs("\">", out);
    } else
        fprintf(out, "%s: ", certainty_name(finding->certainty));
    for (unsigned i = 0; i < finding->evidence_count; i++) {
        finding_sentence(finding, i, sentence);
        markup_print(out, sentence);
        putc('\n', out);
    }
    fputs(failed ? "</failure>\n  </testcase>\n" : "</system-out>\n  </testcase>\n", out);
}

void report_junit(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    const uint64_t cases = totals.findings + totals.possible + totals.notes;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
    fprintf(out, "<testsuite name=\"closetrace\" tests=\"%llu\" failures=\"%llu\" errors=\"0\" skipped=\"0\">\n",
            (unsigned long long)(cases ? cases : 1), (unsigned long long)totals.findings);
    if (cases == 0)
        fputs("  <testcase classname=\"closetrace\" name=\"no findings\"/>\n", out);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next)
        junit_case(finding, out);
    fputs("</testsuite>\n", out);
}

/* A # in a name would begin a directive. */
static void tap_text(const char *text, FILE *out) {
    char plain[1024];
    snprintf(plain, sizeof plain, "%s", text);
    for (char *at = plain; *at; at++)
        if (*at == '#')
            *at = '_';
    print_safely(out, plain, 0);
}

void report_tap(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    const uint64_t cases = totals.findings + totals.possible + totals.notes;
    uint64_t number = 0;
    fprintf(out, "TAP version 13\n1..%llu\n", (unsigned long long)(cases ? cases : 1));
    if (cases == 0)
        fputs("ok 1 - no findings\n", out);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
        char name[CONNECTION_TEXT_SIZE + 64], sentence[SENTENCE_SIZE];
        case_name(finding, name);
        fprintf(out, "%s %llu - ", finding->certainty == CERTAIN ? "not ok" : "ok", (unsigned long long)++number);
        tap_text(finding->certainty == POSSIBLE ? "possible " : finding->certainty == NOTE ? "note " : "", out);
        tap_text(name, out);
        putc('\n', out);
        for (unsigned i = 0; i < finding->evidence_count; i++) {
            finding_sentence(finding, i, sentence);
            fputs("# ", out);
            print_safely(out, sentence, 0);
            putc('\n', out);
        }
    }
}
