# The setup program of Windows: for the user who runs it, without administrator rights. Built by packaging/windows/make.py:
#
#   makensis -INPUTCHARSET UTF8 -DVERSION=1.2.3 -DBUNDLE=dist\zhiyin -DICON=zhiyin.ico -DOUT=zhiyin-setup.exe packaging\windows\zhiyin.nsi

Unicode true
SetCompressor /SOLID lzma
ManifestDPIAware true
ManifestLongPathAware true
RequestExecutionLevel user

!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "LogicLib.nsh"

!define NAME "Zhiyin"
!define CLASSES "Software\Classes"
!define KIND "Zhiyin.gguf"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Zhiyin"
!define DATA "$LOCALAPPDATA\Zhiyin"

Name "${NAME}"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\Zhiyin"
InstallDirRegKey HKCU "${UNINSTALL}" "InstallLocation"
BrandingText "Zhiyin 知音 ${VERSION}"
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "Zhiyin"
VIAddVersionKey "FileDescription" "Zhiyin setup"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "The Zhiyin project, Apache-2.0"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_ABORTWARNING
!define MUI_FINISHPAGE_RUN "$INSTDIR\zhiyin.exe"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "SimpChinese"
!insertmacro MUI_LANGUAGE "TradChinese"

LangString RUNNING ${LANG_ENGLISH} "Zhiyin is running. Close it, then press Retry."
LangString RUNNING ${LANG_SIMPCHINESE} "知音正在运行。请先关闭它，再点击“重试”。"
LangString RUNNING ${LANG_TRADCHINESE} "知音正在執行。請先關閉它，再按一下「重試」。"
LangString KIND_NAME ${LANG_ENGLISH} "GGUF language model"
LangString KIND_NAME ${LANG_SIMPCHINESE} "GGUF 语言模型"
LangString KIND_NAME ${LANG_TRADCHINESE} "GGUF 語言模型"
LangString ASK_DATA ${LANG_ENGLISH} "Delete your chats, models and settings in ${DATA} too? This cannot be undone."
LangString ASK_DATA ${LANG_SIMPCHINESE} "是否同时删除 ${DATA} 中的聊天记录、模型和设置？此操作无法撤销。"
LangString ASK_DATA ${LANG_TRADCHINESE} "要一併刪除 ${DATA} 中的聊天記錄、模型和設定嗎？這個動作無法復原。"
LangString NOT_OURS ${LANG_ENGLISH} "$INSTDIR holds other files. Choose an empty folder."
LangString NOT_OURS ${LANG_SIMPCHINESE} "$INSTDIR 中有其他文件。请选择一个空文件夹。"
LangString NOT_OURS ${LANG_TRADCHINESE} "$INSTDIR 中有其他檔案。請選擇一個空資料夾。"

# A program that runs cannot be opened for writing.
!macro WAIT_UNTIL_CLOSED PREFIX
Function ${PREFIX}WaitUntilClosed
    again:
    ${If} ${FileExists} "$INSTDIR\zhiyin.exe"
        ClearErrors
        FileOpen $0 "$INSTDIR\zhiyin.exe" a
        ${If} ${Errors}
            MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "$(RUNNING)" /SD IDCANCEL IDRETRY again
            Abort
        ${EndIf}
        FileClose $0
    ${EndIf}
FunctionEnd
!macroend
!insertmacro WAIT_UNTIL_CLOSED ""
!insertmacro WAIT_UNTIL_CLOSED "un."

Section "install"
    # The uninstaller removes the whole folder, so it must be ours alone.
    ${IfNot} ${FileExists} "$INSTDIR\zhiyin.exe"
    ${AndIf} ${FileExists} "$INSTDIR\*.*"
        ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
        ${If} $1 > 0
            MessageBox MB_OK|MB_ICONSTOP "$(NOT_OURS)" /SD IDOK
            Abort
        ${EndIf}
    ${EndIf}
    Call WaitUntilClosed
    # Files of an earlier release would be loaded by this one.
    RMDir /r "$INSTDIR\_internal"
    SetOutPath "$INSTDIR"
    File /r "${BUNDLE}/*"
    WriteUninstaller "$INSTDIR\uninstall.exe"
    CreateShortcut "$SMPROGRAMS\Zhiyin 知音.lnk" "$INSTDIR\zhiyin.exe"

    WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "Zhiyin 知音"
    WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
    WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\zhiyin.exe"
    WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The Zhiyin project"
    WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
    WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
    WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
    WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
    WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
    ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
    WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" $0

    # Offered for .gguf; another program that the user chose stays chosen.
    WriteRegStr HKCU "${CLASSES}\${KIND}" "" "$(KIND_NAME)"
    WriteRegStr HKCU "${CLASSES}\${KIND}\DefaultIcon" "" "$INSTDIR\zhiyin.exe,0"
    WriteRegStr HKCU "${CLASSES}\${KIND}\shell\open\command" "" '"$INSTDIR\zhiyin.exe" "%1"'
    WriteRegStr HKCU "${CLASSES}\.gguf\OpenWithProgids" "${KIND}" ""
    ReadRegStr $0 HKCU "${CLASSES}\.gguf" ""
    ${If} $0 == ""
        WriteRegStr HKCU "${CLASSES}\.gguf" "" "${KIND}"
    ${EndIf}
    System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd

Section "Uninstall"
    Call un.WaitUntilClosed
    RMDir /r "$INSTDIR\_internal"
    Delete "$INSTDIR\zhiyin.exe"
    Delete "$INSTDIR\uninstall.exe"
    RMDir "$INSTDIR"
    Delete "$SMPROGRAMS\Zhiyin 知音.lnk"
    DeleteRegKey HKCU "${UNINSTALL}"
    DeleteRegKey HKCU "${CLASSES}\${KIND}"
    DeleteRegValue HKCU "${CLASSES}\.gguf\OpenWithProgids" "${KIND}"
    ReadRegStr $0 HKCU "${CLASSES}\.gguf" ""
    ${If} $0 == "${KIND}"
        DeleteRegValue HKCU "${CLASSES}\.gguf" ""
    ${EndIf}
    System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
    # Silently nothing of the user's is deleted.
    ${If} ${FileExists} "${DATA}\*.*"
        MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(ASK_DATA)" /SD IDNO IDNO keep
        RMDir /r "${DATA}"
        keep:
    ${EndIf}
SectionEnd
