// A report as a self-contained HTML page. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_PAGE_H_
#define ATELIER_CLIENT_REPORT_PAGE_H_

#include <string>

#include "client/report/report_data.h"

namespace atelier::client::report {

std::string RenderPage(const ReportData& data);

// Parts of it, each a section or several.
std::string SummarySection(const ReportData& data);                           // summary_sections.cc
std::string ComparisonSection(const ReportData& data);                        // summary_sections.cc
std::string TradeOffSection(const ReportData& data);                          // summary_sections.cc
std::string CurvesSection(const ReportData& data);                            // summary_sections.cc
std::string RunsSection(const ReportData& data);                              // repeat_sections.cc
std::string AxesSection(const ReportData& data);                              // axis_sections.cc
std::string NetworkSection(const ReportData& data);                           // network_section.cc
std::string CloseLookSection(const ReportData& data, const CloseLook& look);  // close_look.cc
std::string TimeAndResources(const ReportData& data, const CloseLook& look);  // close_look.cc
std::string EvaluationSection(const ReportData& data);  // evaluation_section.cc
std::string PicturesSection(const ReportData& data);    // picture_sections.cc
std::string RepeatSection(const ReportData& data);      // repeat_sections.cc

// The style sheet: colours, those also of files of their own; drawings of networks; the rest.
extern const char kPalette[];
extern const char kNetworkStyle[];
extern const char kStyle[];

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_PAGE_H_
